"""Ordeals: the house under faults, and the proof that the harness would see what goes wrong.

A durable PostgreSQL, real server and worker processes, and callers in processes of their own that write down what they
try and what they are told. A seed deals out the faults; after each the house must answer again. Then the verdict: the
audit of every module, everything acknowledged is there, nothing is there twice.

In CI every kind of fault is dealt out once or twice. `CHANGKE_FAULT_SECONDS=600 make test ARGS=tests/faults` goes on
with every ordeal for ten minutes. As root with loop devices the disk is filled and its power is cut, too; elsewhere
those tests are skipped and say so.
"""
