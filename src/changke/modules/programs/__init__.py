"""Programmes 会员计划: what a fact is worth. For now one kind of rule, earning points on what an order cost.

Words: earn rule 累积规则, decision 判定 (what a rule gave an order, and which version of it).

Promises: a decision names the rule version of the moment the order happened, and a return is settled with that same
version; the same facts decided again change nothing; points are whole, floored once per order.

Tables: programs.earn_rule (versions, never changed), programs.decision. Events read: activity.facts_recorded.v1.
"""
