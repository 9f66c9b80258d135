"""Activity 活动: what happened between a retailer and its customers, told once, kept as it was told.

Purpose: every channel (till, app, mini-program, e-commerce, gate, file) ends in one batch verb, `commands.intake`,
which validates events against their published types, recognises what it has heard before, finds out whose profile
each belongs to, stores the facts and announces them.

Words: event 事件, source 来源, order 订单, line 明细, tender 支付方式, return 退货, parked 暂存, reject 拒收件,
channel 渠道, store 门店, product 商品, watermark 水位.

Promises:
* one (source, event_id) is one fact, for ever for orders and returns, 90 days for behaviour; the same again answers
  the first answer, the same id with another body is refused;
* a bad item never touches its neighbours, and is kept, sealed, until somebody mends or dismisses it;
* lines sum to their header; no line is returned more than it was sold;
* a return that arrives before its purchase waits and is applied on arrival, with the result of in-order arrival;
* personal data in payloads is taken out and kept encrypted beside them.

Tables: event_type, event_key, event, sale_order, order_line, order_number, order_return, return_line, parked_return,
receipt_effect, intake_batch, reject, source_tally, source_state, channel, store, product, import_run, connection.
Announces: activity.facts_recorded.v1.
"""
