"""Files from back offices: taken in whole, refused row by row, and nothing doubled."""

import json
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from changke.adapters.import_file import RejectsFile, import_file
from changke.kernel.errors import Refusal
from changke.modules.activity import commands_imports as imports
from changke.modules.activity.translate import mapped_values
from changke.modules.activity.translate import mapping as mappings

SALES = """
mapping: 1
kind: orders
source: till-export
channel: store
currency: CNY
time_zone: Asia/Shanghai
time_formats: ["%Y-%m-%d %H:%M:%S"]
group_by: 单号
sort_by: [时间]
occurred_at: 时间
identifiers: [{namespace: card_number, column: 会员卡}]
payload:
  order_number: 单号
  store: 门店
lines:
  sku: 商品
  quantity: 数量
  net_minor: {column: 金额, required: true, thousands: ","}
  attributes.name: 品名
"""
HEAD = "单号,时间,会员卡,门店,商品,数量,金额,品名"
ROWS = (
    "A2,2026-02-02 10:00:00,88000002,上海一店,tea,2,39.80,绿茶",
    "A1,2026-02-01 09:00:00,88000001,上海一店,milk,1,12.50,牛奶",
    'A2,2026-02-02 10:00:00,88000002,上海一店,cup,1,"1,030.00",茶杯',
    "A1,2026-02-01 09:00:00,88000001,上海一店,apple,0.735,7.35,苹果",
)
VIEWS = """
mapping: 1
kind: events
source: app-export
type: product.viewed
time_zone: UTC
event_id: id
occurred_at: at
identifiers: [{namespace: app_account, column: user}]
payload: {sku: sku, name: name}
"""


@pytest.fixture
def take(database, keyring, clock):
    def take(path, text, **options):
        mapping = mappings.load(text) if text else None
        return import_file(database, path, mapping, keyring=keyring, clock=clock, **options)

    return take


@pytest.fixture
def rows(database):
    def rows(sql):
        with database.transaction() as tx:
            return tx.raw.execute(sql).fetchall()

    return rows


def written(path, text, encoding="utf-8"):
    path.write_bytes(text.encode(encoding))
    return path


def rejects(report):
    if report.rejects_path is None:
        return []
    with open(report.rejects_path, encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


ORDERS = "SELECT order_number, store, occurred_at, total_minor FROM activity.sale_order ORDER BY occurred_at"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "gbk", "gb18030"])
def test_a_chinese_back_office_may_write_any_of_its_encodings(take, rows, tmp_path, encoding):
    report = take(written(tmp_path / "sales.csv", "\r\n".join((HEAD, *ROWS)), encoding), SALES)
    assert (report.rows, report.items, report.counts["accepted"]) == (4, 2, 2)
    assert rows(ORDERS) == [
        ("A1", "上海一店", datetime(2026, 2, 1, 1, tzinfo=UTC), 1985),
        ("A2", "上海一店", datetime(2026, 2, 2, 2, tzinfo=UTC), 106980),
    ]
    assert rows("SELECT sku, quantity::text, attributes ->> 'name' FROM activity.order_line ORDER BY net_minor")[0] == (
        "apple", "0.735", "苹果"
    )  # fmt: skip


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_found_out(take, tmp_path, delimiter):
    lines = (HEAD, *(row.replace('"1,030.00"', "1030") for row in ROWS))
    text = "\n".join(line.replace(",", delimiter) for line in lines)
    assert take(written(tmp_path / "sales.csv", text), SALES).counts["accepted"] == 2


def test_a_second_run_changes_nothing_and_says_so(take, rows, tmp_path):
    path = written(tmp_path / "sales.csv", "\n".join((HEAD, *ROWS)))
    assert take(path, SALES).changed
    again = take(path, SALES)
    assert not again.changed
    assert (again.items, again.resumed_at) == (2, 2)
    other = take(path, SALES + "title: the same with another mapping\n")
    assert not other.changed
    assert other.counts["duplicate"] == 2
    assert rows("SELECT count(*) FROM activity.sale_order") == [(2,)]


def test_a_dry_run_tells_all_and_leaves_no_trace(take, rows, tmp_path):
    path = written(tmp_path / "sales.csv", "\n".join((HEAD, *ROWS, "A3,yesterday,1,s,tea,1,1,x")))
    report = take(path, SALES, dry_run=True)
    assert (report.counts["accepted"], report.counts["rejected"], report.changed) == (2, 1, False)
    for table in ("sale_order", "reject", "import_run", "event_key"):
        assert rows(f"SELECT count(*) FROM activity.{table}") == [(0,)]
    assert take(path, SALES).counts["accepted"] == 2


def test_a_run_that_dies_goes_on_where_it_was(take, rows, tmp_path, monkeypatch):
    views = [f"v-{n},2026-02-01T10:00:00Z,anna,tea,Tea" for n in range(95)] + ["bad,,anna,tea,Tea"] * 5
    path = written(tmp_path / "views.csv", "\n".join(("id,at,user,sku,name", *views)))
    intake, calls = imports.commands.intake, []

    def dies_at_the_fourth(tx, items, **options):
        calls.append(len(items))
        if len(calls) == 4:
            raise KeyboardInterrupt
        return intake(tx, items, **options)

    monkeypatch.setattr(imports.commands, "intake", dies_at_the_fourth)
    with pytest.raises(KeyboardInterrupt):
        take(path, VIEWS, batch_size=10)
    assert rows("SELECT position, state FROM activity.import_run") == [(30, "running")]
    monkeypatch.undo()
    report = take(path, VIEWS, batch_size=7)
    assert (report.resumed_at, report.items, report.counts["accepted"], report.counts["duplicate"]) == (30, 100, 65, 0)
    assert rows("SELECT count(*) FROM activity.event") == [(95,)]
    assert [reject["position"] for reject in rejects(report)] == [95, 96, 97, 98, 99]
    assert rows("SELECT position, state, accepted, rejected FROM activity.import_run") == [(100, "finished", 95, 5)]


def test_what_was_written_of_a_batch_that_never_was_is_forgotten(tmp_path):
    path = tmp_path / "x.rejects.jsonl"
    path.write_text('{"position": 1}\n{"position": 7}\n{"posi')
    RejectsFile(path).keep_before(5)
    assert path.read_text() == '{"position": 1}\n'


def bad_rows():
    good = "v-{n},2026-02-01T10:00:00Z,anna,tea,{name}"
    yield "ragged, too few", "v-1,2026-02-01T10:00:00Z,anna", "ragged_row"
    yield "ragged, too many", good.format(n=1, name="Tea") + ",more,yet more", "ragged_row"
    yield "NUL", good.format(n=1, name="T\0a"), "nul_character"
    yield "a field of 10 MB", good.format(n=1, name="x" * 10_000_000), "field_too_long"
    yield "a quoted field beyond the limit", good.format(n=1, name='"' + "x" * 200_000 + '"'), "field_too_long"
    yield "no id", good.format(n=1, name="Tea").replace("v-1", " "), "missing_field"
    yield "no time", "v-1,,anna,tea,Tea", "missing_field"
    yield "a time that is none", "v-1,2026-02-30T10:00:00Z,anna,tea,Tea", "invalid_value"
    yield "year 10000", "v-1,10000-01-01T00:00:00Z,anna,tea,Tea", "invalid_value"
    yield "tomorrow week", "v-1,2026-03-08T00:00:00Z,anna,tea,Tea", "occurred_in_future"
    yield "nobody", "v-1,2026-02-01T10:00:00Z,,tea,Tea", "identifiers_missing"


@pytest.mark.parametrize(("row", "code"), [pytest.param(row, code, id=name) for name, row, code in bad_rows()])
def test_a_bad_row_is_refused_with_its_number_and_the_others_stay(take, rows, tmp_path, row, code):
    good = "v-{n},2026-02-01T10:00:00Z,anna,tea,Tea"
    text = "\r\n".join(("id,at,user,sku,name", good.format(n=100), row, good.format(n=200)))
    report = take(written(tmp_path / "views.csv", text), VIEWS)
    assert report.counts["accepted"] == 2, rejects(report)
    [reject] = rejects(report)
    assert (reject["code"], reject["rows"]) == (code, [3])
    assert reject["reason"]["en"]
    assert reject["reason"]["zh-CN"] != reject["reason"]["en"]
    assert rows("SELECT code FROM activity.reject") == [(code,)]


def test_one_row_in_another_encoding_costs_that_row_only(take, tmp_path):
    good = "v-{n},2026-02-01T10:00:00Z,anna,tea,绿茶\n".encode()
    wrong = b"v-2,2026-02-01T10:00:00Z,anna,tea,\xff\xfe\xff\n"
    path = tmp_path / "views.csv"
    path.write_bytes(b"id,at,user,sku,name\n" + good.replace(b"{n}", b"1") + wrong + good.replace(b"{n}", b"3"))
    report = take(path, VIEWS)
    assert report.counts["accepted"] == 2
    assert [(reject["code"], reject["rows"]) for reject in rejects(report)] == [("wrong_encoding", [3])]


STRANGE = {
    "formula": "=HYPERLINK(0)",
    "plus": "+1+cmd",
    "at": "@SUM(A1)",
    "minus": "-2+3",
    "family": "👨‍👩‍👧‍👦 茶",
    "homoglyph": "Аррle",
    "rtl": "‮txt.exe",
    "full width": "１２３ ＡＢＣ",
    "hebrew": "תה ירוק",
    "backslash": "a\\tb\\N",
    "quoted": 'say "hi"',
    "lines": "one\r\ntwo\nthree",
}


def test_strange_words_are_kept_as_they_are(take, rows, tmp_path):
    quoted = ['"' + name.replace('"', '""') + '"' for name in STRANGE.values()]
    lines = [f"v-{n},2026-02-01T10:00:00Z,anna,tea,{name}" for n, name in enumerate(quoted)]
    report = take(written(tmp_path / "views.csv", "id,at,user,sku,name\n" + "\r\n".join(lines)), VIEWS)
    assert report.counts["accepted"] == len(STRANGE)
    kept = dict(rows("SELECT event_id, payload ->> 'name' FROM activity.event"))
    assert kept == {f"v-{n}": name for n, name in enumerate(STRANGE.values())}


@pytest.mark.parametrize(
    ("written_as", "minor"),
    [("12.50", 1250), ("12", 1200), ("１２．５０", 1250), (" 12.5 ", 1250), ("1,234.5", 123450), ("0.1", 10),
     (0.1 + 0.2, 30), (4.35, 435), (1e-17, 0), (0.005, None), ("1e3", None), (float("nan"), None), (True, None),
     ("12.345", None), ("NaN", None), ("Infinity", None), ("9" * 30, None), ("１２x", None), ("10²", None), ("", None),
     ("-5", -500), ("٣", None)],
)  # fmt: skip
def test_money_is_read_exactly_or_not_at_all(written_as, minor):
    value = mappings.Value("net_minor", ("x",), type="money", required=True, thousands=",")
    [read], faults = mapped_values.convert(value, [[written_as]], mappings.load(SALES))
    assert (read if not faults else None) == minor


def own(event_id, **more):
    return {
        "source": "erp",
        "event_id": event_id,
        "type": "product.viewed",
        "occurred_at": "2026-02-01T10:00:00Z",
        "identifiers": {"app_account": "anna"},
        "payload": {"sku": "tea"},
        **more,
    }


def test_our_own_events_need_no_mapping(take, rows, tmp_path):
    deep = json.dumps(own("e-5", payload={"sku": "tea", "properties": {"a": 1}})).replace(
        '"a": 1', '"a": ' + "[" * 40 + "]" * 40
    )
    lines = [
        json.dumps(own("e-1")),
        "",
        json.dumps(own("e-2"))[:-1] + ', "event_id": "e-3"}',
        json.dumps(own("e-4")).replace('"tea"', "NaN"),
        deep,
        "{broken",
        "[1]",
        json.dumps(own("e-6", surprise=1)),
        json.dumps(own("e-7")).replace("tea", "\\u0000"),
        json.dumps(own("e-8")),
    ]
    report = take(written(tmp_path / "events.jsonl", "\n".join(lines), "utf-8-sig"), None)
    assert report.counts["accepted"] == 2
    assert [reject["code"] for reject in rejects(report)] == [
        "invalid_json", "invalid_json", "invalid_json", "invalid_json", "wrong_type", "unknown_field", "invalid_json"
    ]  # fmt: skip
    assert rows("SELECT event_id FROM activity.event ORDER BY 1") == [("e-1",), ("e-8",)]


def test_mapped_json_lines_reach_into_objects(take, rows, tmp_path):
    mapping = VIEWS.replace("column: user", "column: who.id").replace("{sku: sku, name: name}", "{sku: product.code}")
    line = {"id": 17, "at": "2026-02-01T10:00:00Z", "who": {"id": "anna"}, "product": {"code": "tea"}}
    assert take(written(tmp_path / "views.jsonl", json.dumps(line)), mapping).counts["accepted"] == 1
    assert rows("SELECT event_id, payload ->> 'sku' FROM activity.event") == [("17", "tea")]


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_parquet_is_read_with_its_types(take, rows, tmp_path, unit):
    moments = [datetime(2026, 2, 1, 9), datetime(2026, 2, 2, 9), datetime(2026, 2, 1, 9)]
    table = pa.table(
        {
            "单号": ["A1", "A2", "A1"],
            "时间": pa.array(moments, pa.timestamp(unit)),
            "会员卡": [88000001, 88000002, 88000001],
            "门店": ["一店"] * 3,
            "商品": [1, 2, 3],
            "数量": [1.0, 2.0, 0.5],
            "金额": [0.1 + 0.2, 4.35, 1e-17],
            "品名": [None, "茶", None],
        }
    )
    pq.write_table(table, tmp_path / "sales.parquet")
    assert take(tmp_path / "sales.parquet", SALES).counts["accepted"] == 2
    assert [row[3] for row in rows(ORDERS)] == [30, 435]


def test_returns_come_as_files_too(take, rows, tmp_path):
    returns = SALES.replace("kind: orders", "kind: orders\ntype: order.returned").replace(
        "group_by: 单号", "group_by: 退单号"
    )
    returns = returns.replace(
        '  net_minor: {column: 金额, required: true, thousands: ","}\n  attributes.name: 品名\n', ""
    )
    returns = returns.replace("  store: 门店", "  return_number: 退单号")
    take(written(tmp_path / "sales.csv", "\n".join((HEAD, *ROWS))), SALES)
    back = "退单号,单号,时间,会员卡,商品,数量\nR1,A2,2026-02-05 10:00:00,88000002,tea,1\n"
    assert take(written(tmp_path / "returns.csv", back), returns).counts["accepted"] == 1
    assert rows("SELECT return_number, refund_minor FROM activity.order_return") == [("R1", 1990)]


def test_products_and_stores_fill_the_catalogue(take, rows, tmp_path):
    mapping = """
mapping: 1
kind: products
source: erp
currency: CNY
fields: {code: {column: code, required: true}, name: name, price_minor: price, attributes.shelf: shelf}
"""
    path = written(tmp_path / "products.csv", "code,name,price,shelf\ntea,绿茶,19.90,A\n,nameless,1,B\ncup,杯,x,C\n")
    report = take(path, mapping)
    assert (report.counts["applied"], report.counts["rejected"]) == (1, 2)
    assert [(reject["code"], reject["rows"]) for reject in rejects(report)] == [
        ("missing_field", [3]),
        ("invalid_value", [4]),
    ]
    assert rows("SELECT code, name, price_minor, attributes ->> 'shelf', state FROM activity.product") == [
        ("tea", "绿茶", 1990, "A", "known")
    ]
    assert not take(path, mapping + "title: again\n").changed


@pytest.mark.parametrize(
    ("text", "line", "field"),
    [
        ("mapping: 1\nkind: dance\nsource: x\n", 2, "kind"),
        ("mapping: 1\nkind: products\nsource: x\nfields:\n  code: {colum: a}\n", 5, "fields.code"),
        ("mapping: 1\nkind: events\nsource: x\ntype: a\noccurred_at: t\ntime_zone: Mars/Base\n", 6, "time_zone"),
        ("mapping: 1\nkind: products\nsource: x\nfields:\n  price_minor: p\n", 5, "fields.price_minor"),
        ("mapping: 1\nkind: [\n", 3, "YAML"),
        ("just text", 1, "mapping"),
    ],
)
def test_a_wrong_mapping_is_refused_by_its_line(text, line, field):
    with pytest.raises(Refusal) as refused:
        mappings.load(text)
    assert refused.value.code.code == "mapping_invalid"
    assert (refused.value.params["line"], refused.value.field) == (line, field)


def test_a_column_the_file_does_not_have_is_named(take, tmp_path):
    with pytest.raises(Refusal) as refused:
        take(written(tmp_path / "views.csv", "id,at,user\n"), VIEWS)
    assert (refused.value.code.code, refused.value.have) == ("unknown_column", "sku")


def test_two_runs_of_one_file_do_not_disturb_each_other(take, database, keyring, clock, tmp_path, monkeypatch):
    views = "\n".join(("id,at,user,sku,name", *(f"v-{n},2026-02-01T10:00:00Z,anna,tea,Tea" for n in range(40))))
    path = written(tmp_path / "views.csv", views)
    intake, inside = imports.commands.intake, []

    def meanwhile(tx, items, **options):
        if not inside:
            inside.append(True)
            take(path, VIEWS, batch_size=10)
        return intake(tx, items, **options)

    monkeypatch.setattr(imports.commands, "intake", meanwhile)
    with pytest.raises(Refusal) as refused:
        take(path, VIEWS, batch_size=10)
    assert refused.value.code.code == "import_busy"
    with database.transaction() as tx:
        assert tx.raw.execute("SELECT count(*) FROM activity.event").fetchone() == (40,)
