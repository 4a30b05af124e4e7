package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
)

// account says which AWS account and region to work on. What is not given comes
// from where the AWS CLI would take it.
type account struct {
	Profile string `placeholder:"NAME" help:"Profile of the AWS configuration ($$AWS_PROFILE)."`
	Region  string `placeholder:"NAME" help:"AWS region ($$AWS_REGION)."`
}

func (a account) config(ctx context.Context) (aws.Config, error) {
	cfg, err := config.LoadDefaultConfig(ctx,
		config.WithSharedConfigProfile(a.Profile), config.WithRegion(a.Region))
	if err != nil {
		return aws.Config{}, fmt.Errorf("read the AWS configuration: %w", err)
	}
	if cfg.Region == "" {
		return aws.Config{}, errors.New("no AWS region is known: give --region or set AWS_REGION")
	}
	return cfg, nil
}
