"""What is refused in a condition, with the path of the fault."""

from changke.kernel.errors import RefusalCode
from changke.kernel.i18n import Text

CONDITION_SHAPE = RefusalCode(
    "condition_shape", 422, Text("{field} is not a condition: {reason}", "{field} 不是有效的条件：{reason}")
)
UNKNOWN_FACT = RefusalCode(
    "unknown_fact",
    422,
    Text("{field}: there is no fact {have}; near it: {need}", "{field}：没有名为 {have} 的事实；相近的有：{need}"),
)
CONDITION_SCOPE = RefusalCode(
    "condition_scope",
    422,
    Text(
        "{field}: {have} cannot be asked here; facts of a line (line.*) only inside lines, all others only outside",
        "{field}：此处不能使用 {have}；行事实（line.*）只能用于行条件之内，其他事实只能用于其外",
    ),
)
CONDITION_OPERATOR = RefusalCode(
    "condition_operator",
    422,
    Text(
        "{field}: {have} does not fit {fact} ({type}); use {need}",
        "{field}：{have} 不适用于 {fact}（{type}）；可用 {need}",
    ),
)
CONDITION_OPERAND = RefusalCode(
    "condition_operand", 422, Text("{field} is {have}; it must be {need}", "{field} 为 {have}，应为 {need}")
)
CONDITION_EMPTY = RefusalCode("condition_empty", 422, Text("{field} is empty", "{field} 为空"))
CONDITION_BACKWARDS = RefusalCode(
    "condition_backwards", 422, Text("{field}: {have} is above {need}", "{field}：{have} 大于 {need}")
)
CONDITION_TOO_DEEP = RefusalCode(
    "condition_too_deep",
    422,
    Text("{field} is {have} levels deep; at most {need}", "{field} 嵌套 {have} 层，最多 {need} 层"),
)
CONDITION_TOO_MANY_PARTS = RefusalCode(
    "condition_too_many_parts",
    422,
    Text("{field} has {have} parts or more; at most {need}", "{field} 至少有 {have} 个组成部分，最多 {need} 个"),
)
CONDITION_TOO_MANY_VALUES = RefusalCode(
    "condition_too_many_values",
    422,
    Text(
        "{field} has {have} values; at most {need}, name a set instead",
        "{field} 有 {have} 个值，最多 {need} 个；请改用集合",
    ),
)
CONDITION_TOO_LONG = RefusalCode(
    "condition_too_long",
    422,
    Text("{field} has {have} characters; at most {need}", "{field} 有 {have} 个字符，最多 {need}"),
)
UNKNOWN_SET = RefusalCode(
    "unknown_set",
    422,
    Text("{field}: there is no set {have}; there is: {need}", "{field}：没有名为 {have} 的集合；现有：{need}"),
)
CONDITION_TEXT = RefusalCode(
    "condition_text",
    422,
    Text(
        "{field}, line {line}, column {column}: {have} cannot stand here; expected {need}",
        "{field} 第 {line} 行第 {column} 列：此处不能是 {have}；应为 {need}",
    ),
)
JSON_LOGIC_FOREIGN = RefusalCode(
    "json_logic_foreign",
    422,
    Text("{field}: {have} has no counterpart in our conditions", "{field}：{have} 在本系统的条件中没有对应形式"),
)
