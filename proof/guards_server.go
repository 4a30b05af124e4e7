package main

// serverGuards are those of the process `orders serve`: clients that stall, and its end.
var serverGuards = []guard{
	{
		name:  "a client that does not send loses its connection",
		holds: "F26 I16",
		file:  "cmd/orders/serve.go",
		old:   `ReadTimeout:    readTimeout,`,
		new:   ``,
		test:  "TestSlowClientsLoseTheirConnectionAndDisturbNobody",
	},
	{
		name:  "a client that does not read loses its connection",
		holds: "F26 I16",
		file:  "cmd/orders/serve.go",
		old:   `WriteTimeout:   writeTimeout,`,
		new:   ``,
		test:  "TestSlowClientsLoseTheirConnectionAndDisturbNobody",
	},
	{
		name:  "a client that asks no more may keep its connection for a while, and no longer",
		holds: "F26 I16",
		file:  "cmd/orders/serve.go",
		old:   `IdleTimeout:    idleTimeout,`,
		new:   ``,
		test:  "TestSlowClientsLoseTheirConnectionAndDisturbNobody",
	},
	{
		name:  "SIGTERM is heard",
		holds: "F25 I1",
		file:  "cmd/orders/main.go",
		old:   `signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)`,
		new:   `signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGHUP)`,
		test:  "TestTerminationUnderLoadLosesNoAcknowledgedOrder",
	},
	{
		name:  "requests under way are answered before the end",
		holds: "F25 I1 I4",
		file:  "cmd/orders/serve.go",
		old:   `return errors.Join(err, shutdown(server), store.Close())`,
		new:   `return errors.Join(err, server.Close(), store.Close())`,
		test:  "TestRequestUnderWayIsAnsweredAfterTheSignal",
	},
	{
		name:  "the store is there until the last request is answered",
		holds: "F25 I1",
		file:  "cmd/orders/serve.go",
		old:   `errors.Join(err, shutdown(server), store.Close())`,
		new:   `errors.Join(err, store.Close(), shutdown(server))`,
		test:  "TestRequestUnderWayIsAnsweredAfterTheSignal",
	},
	{
		name:  "a second signal ends the process at once",
		holds: "F25",
		file:  "cmd/orders/main.go",
		old:   `stop(); end()`,
		new:   `_ = stop; end()`,
		test:  "TestSecondSignalEndsTheProcessAtOnce",
	},
}
