package main

// lambdaMutants stand between Lambda and the handler.
var lambdaMutants = []mutant{
	{
		name:  "a panic becomes a response also on Lambda, whose process it would end",
		holds: "I15",
		file:  "shared/lambdahttp/recover.go",
		old:   `if p := recover(); p != nil {`,
		new:   `if p := any(nil); p != nil {`,
		test:  "TestAPanicIsAProblemOfStatus500WhateverWasWrittenBefore",
	},
	{
		name:  "a slow store gets a response before Lambda's deadline",
		holds: "F24 I16",
		file:  "shared/lambdahttp/handler.go",
		old:   `awsclient.BeforeDeadline(ctx, deadlineMargin)`,
		new:   `awsclient.BeforeDeadline(ctx, 0)`,
		test:  "TestASlowStoreIsA503BeforeLambdasDeadline",
	},
	{
		name:  "a body that cannot be decoded is the client's fault",
		holds: "I15",
		file:  "shared/lambdahttp/event.go",
		old:   `if err != nil {`,
		new:   `if err != nil && false {`,
		test:  "TestABodyInBase64IsDecodedOr400",
	},
}

// clientMutants bound the time of a call to AWS, and tell transient errors from others.
var clientMutants = []mutant{
	{
		name:  "an attempt ends, also when the network drops all packets",
		holds: "F24 I16",
		file:  "shared/awsclient/awsclient.go",
		old:   `WithTimeout(attemptTimeout).`,
		new:   `WithTimeout(2 * attemptTimeout).`,
		test:  "TestACallToABlackHoleEndsInBoundedTime",
	},
	{
		name:  "a call has so many attempts and no more",
		holds: "F1 F24 I16",
		file:  "shared/awsclient/awsclient.go",
		old:   `o.MaxAttempts = maxAttempts`,
		new:   `o.MaxAttempts = 2 * maxAttempts`,
		test:  "TestAFailingServiceIsAskedThreeTimes",
	},
	{
		name:  "an error without a response is transient",
		holds: "F1 F24 I16",
		file:  "shared/awsclient/errors.go",
		old:   `return !isRequestError(err)`,
		new:   `return false`,
		test:  "TestOnlyTransientErrorsAreUnavailable",
	},
	{
		name:  "a request that the SDK cannot build is not transient",
		holds: "F1 I16",
		file:  "shared/awsclient/errors.go",
		old:   `return !isRequestError(err)`,
		new:   `return true`,
		test:  "TestARequestThatTheSDKCannotBuildIsNotUnavailable",
	},
	{
		name:  "an invalid endpoint is not transient",
		holds: "F1 I16",
		file:  "shared/awsclient/errors.go",
		old:   `return invalid || unserializable || anonymous || badEndpoint`,
		new:   `return invalid || unserializable || anonymous || badEndpoint && false`,
		test:  "TestARequestThatTheSDKCannotBuildIsNotUnavailable",
	},
	{
		name:  "throttling is transient",
		holds: "F1 I16",
		file:  "shared/awsclient/errors.go",
		old:   `IsErrorRetryable(err) == aws.TrueTernary`,
		new:   `IsErrorRetryable(err) == aws.BoolTernary(false) && false`,
		test:  "TestOnlyTransientErrorsAreUnavailable",
	},
	{
		name:  "expired credentials are transient",
		holds: "F1 I16",
		file:  "shared/awsclient/errors.go",
		old:   `map[string]bool{"ExpiredToken": true, "ExpiredTokenException": true, "RequestExpired": true}`,
		new:   `map[string]bool{}`,
		test:  "TestOnlyTransientErrorsAreUnavailable",
	},
	{
		name:  "other errors are not transient",
		holds: "F1 I16",
		file:  "shared/awsclient/errors.go",
		old:   `return fmt.Errorf("%s: %w", action, err)`,
		new:   `return fmt.Errorf("%s: %w: %w", action, order.ErrUnavailable, err)`,
		test:  "TestOnlyTransientErrorsAreUnavailable",
	},
}
