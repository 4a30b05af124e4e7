"""Prints what SAM makes of template.yaml, in JSON: what CloudFormation gets to see.

    translate.py [PARAMETER=VALUE ...]

The translation is the one that AWS runs on a deployment. Parameters matter to it: with
GradualDeployment=true it adds what CodeDeploy needs.
"""

import json
import logging
import os
import sys

from samtranslator.translator.transform import transform
from samtranslator.yaml_helper import yaml_parse


class NoManagedPolicies:
    """The template names no managed policy, so none has to be looked up on AWS."""

    def load(self):
        return {}


logging.disable(logging.WARNING)
os.environ.setdefault("AWS_DEFAULT_REGION", "us-east-1")  # only tells the partition
with open("template.yaml") as source:
    template = yaml_parse(source)
for resource in template["Resources"].values():
    if resource["Type"] == "AWS::Serverless::Function":
        resource["Properties"]["CodeUri"] = "s3://bucket/key"  # as `sam package` leaves it
parameters = dict(argument.split("=", 1) for argument in sys.argv[1:])
json.dump(transform(template, parameters, NoManagedPolicies()), sys.stdout, indent=2)
