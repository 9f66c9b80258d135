"""Programmes 会员计划: what a cart costs, what an order earns, and why.

A programme is data: campaigns 活动 of rules 规则 (trigger 触发, condition 条件, effects 效果, limits 限额). Publishing
compiles it into an engine; carts are evaluated 试算, sessions 会话 put aside and commit what was promised, orders,
returns and behaviour lead to effects through `commands.decide`.

Words: lane 计算层, group 评估组, stacking class 叠加类别, budget 预算, counter 计数器, decision 判定, explanation
命中说明, rejection 未命中原因, quote 报价, occasion 触发时机.

Promises:
* an evaluation writes nothing, and the same request gets the same answer;
* what is committed is what was quoted, or nothing is written;
* a decision names the version of its moment and the member it saw, and a return is settled with those;
* the same facts decided again change nothing; a member's facts keep their order;
* limits and budgets are exact however many use them at once; what comes back is given back;
* published versions never change, and two people stand behind each.

Tables: program, version, version_step, simulation and its pieces (definitions and trials); history, counter, allowance,
order_decision, assignment (what is remembered of profiles and limits); session, session_key, session_return.
Events read: activity.facts_recorded.v1, tiers.tier_changed.v1. Announces: programs.effects_due.v1,
programs.order_committed.v1, and what `events_versions` says of versions.
"""
