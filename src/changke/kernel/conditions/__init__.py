"""Conditions 条件: one closed, typed grammar for rules, segments, tiers and benefits.

A condition is a tree of data, never code: `all`, `any`, `not`, comparisons of one fact, and counts or sums over the
lines of a cart. Which facts there are, and of which type, is said by a `Schema`; a tree is checked against it when it
is parsed. There are no loops but the one over lines, so its cost is known before it runs.

Files: nodes (the tree), parsing (JSON to tree and back), text (the CEL view), json_logic (import), analysis (cost,
facts, never or always), meaning (what a tree says of given facts, slowly and with reasons), refusals.
"""
