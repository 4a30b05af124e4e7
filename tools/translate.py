"""Prints SAM's translation of template.yaml as JSON: the template that CloudFormation gets.

    translate.py [PARAMETER=VALUE ...]

AWS runs the same translation in a deployment. It depends on parameters: GradualDeployment=true adds
the resources of CodeDeploy.
"""

import json
import logging
import os
import sys

from samtranslator.translator.transform import transform
from samtranslator.yaml_helper import yaml_parse


class NoManagedPolicies:
    """The template has no managed policy, so no lookup on AWS is necessary."""

    def load(self):
        return {}


logging.disable(logging.WARNING)
os.environ.setdefault("AWS_DEFAULT_REGION", "us-east-1")  # determines only the partition
with open("template.yaml") as source:
    template = yaml_parse(source)
for resource in template["Resources"].values():
    if resource["Type"] == "AWS::Serverless::Function":
        resource["Properties"]["CodeUri"] = "s3://bucket/key"  # as `sam package` leaves it
parameters = dict(argument.split("=", 1) for argument in sys.argv[1:])
json.dump(transform(template, parameters, NoManagedPolicies()), sys.stdout, indent=2)
