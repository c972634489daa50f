"""`python -m benchmarks.load`: carry out the plan on standard input, write the report to standard output."""

import sys

from benchmarks.load.clients import run_plan
from benchmarks.load.plan import LoadPlan

print(run_plan(LoadPlan.from_json(sys.stdin.readline())).to_json())
