"""The command line: `changke --help`. What runs the house stands here; `cli_data` has what looks into it."""

import signal
from pathlib import Path
from typing import Annotated

import typer

import changke
from changke.entry import (
    cli_data,
    cli_simulation,
    console,
    demo,
    doctor,
    openapi,
    server,
    setup,
    wiring,
    work,
)
from changke.entry.console import say
from changke.entry.supervisor import Children, HomeLock, visit
from changke.kernel import migrations, telemetry
from changke.kernel.clock import SystemClock
from changke.kernel.settings import Settings

app = typer.Typer(
    name="changke",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    help=say(
        "Changke 常客, the open member platform for retail.\n\nStart with [bold]changke demo[/bold]: a year of real"
        " grocery trade on a PostgreSQL that comes with the package. [bold]changke up[/bold] runs your own. Settings"
        " come from CHANGKE_* variables or changke.toml in CHANGKE_HOME.",
        "Changke 常客，开放的零售会员平台。\n\n从 [bold]changke demo[/bold] 开始：用内置 PostgreSQL"
        " 跑一年的真实超市交易。"
        "[bold]changke up[/bold] 启动正式服务。配置来自 CHANGKE_* 环境变量或 CHANGKE_HOME 下的 changke.toml。",
    ),
)
app.add_typer(cli_data.app)
app.add_typer(cli_simulation.with_programs)

JsonOption = Annotated[bool, typer.Option("--json", help=say("machine-readable output", "输出 JSON，供脚本使用"))]
PortOption = Annotated[int | None, typer.Option(help=say("port to listen on", "监听端口"), min=1, max=65535)]
HostOption = Annotated[str | None, typer.Option(help=say("address to listen on", "监听地址"))]


def _settings(host: str | None = None, port: int | None = None) -> Settings:
    given = {name: value for name, value in (("host", host), ("port", port)) if value is not None}
    return Settings(**given)  # type: ignore[arg-type]


def _version(wanted: bool) -> None:
    if wanted:
        console.out.print(changke.__version__)
        raise typer.Exit


@app.callback()
def _top(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help=say("print the version", "显示版本"))
    ] = False,
) -> None:
    telemetry.configure(level="warning", form="console")


@app.command(help=say("Start server and worker; Ctrl-C stops both.", "启动服务与后台任务，Ctrl-C 停止。"))
def up(host: HostOption = None, port: PortOption = None) -> None:
    """Run the house on the embedded PostgreSQL, or on CHANGKE_DATABASE_URL."""
    with console.clear_errors():
        settings = _settings(host, port)
        with HomeLock(settings.home):
            house = wiring.open_house(settings)
            try:
                setup.migrate(house.url)
                _first_things(house)
                raise typer.Exit(_serve(house))
            finally:
                if house.server:
                    house.server.stop()


def _first_things(house: wiring.House) -> None:
    database = wiring.open_database(house, application_name="changke-setup", pool_size=2)
    secret = setup.first_things(database, SystemClock())
    database.close()
    if secret:
        _print_key(secret)


def _print_key(secret: str) -> None:
    console.out.print(
        say(
            "API key (shown once, keep it): [bold]{secret}[/bold]",
            "API 密钥（仅显示一次，请妥善保存）：[bold]{secret}[/bold]",
            secret=secret,
        )
    )


def _serve(house: wiring.House) -> int:
    settings = house.settings
    children = Children(settings, postgres=house.server)
    children.start()
    address = f"http://{settings.host}:{settings.port}"
    console.out.print(
        say(
            "Changke runs at {address} (API docs: {address}/docs). Ctrl-C stops it.",
            "Changke 已启动：{address}（API 文档：{address}/docs）。按 Ctrl-C 停止。",
            address=address,
        ),
        highlight=False,
        soft_wrap=True,
    )
    return children.watch()


@app.command("demo", help=say("Load a year of real grocery trade and serve it.", "载入一年的真实超市交易并启动服务。"))
def run_demo(
    host: HostOption = None,
    port: PortOption = None,
    no_serve: Annotated[bool, typer.Option("--no-serve", help=say("load, print, leave", "载入并打印后退出"))] = False,
    as_json: JsonOption = False,
) -> None:
    """Load Complete Journey through the file intake, post earn for every basket, print what happened."""
    with console.clear_errors():
        settings = _settings(host, port)
        with HomeLock(settings.home):
            house = wiring.open_house(settings)
            try:
                report = demo.load(house, quiet=as_json)
                if as_json:
                    console.print_json(report.as_json())
                else:
                    demo.describe(report)
                if report.api_key and not as_json:
                    _print_key(report.api_key)
                if not no_serve:
                    raise typer.Exit(_serve(house))
            finally:
                if house.server:
                    house.server.stop()


@app.command(hidden=True)
def run(role: str, leash: Annotated[int | None, typer.Option()] = None) -> None:
    """Run one process of the house; `changke up` does this."""
    settings = _settings()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the supervisor, which then asks us with SIGTERM
    {"server": server.run, "worker": work.run}[role](settings, leash=leash)


@app.command(
    "doctor", help=say("Say what is wrong with this machine, and how to mend it.", "检查环境问题并给出解决办法。")
)
def doctor_(as_json: JsonOption = False) -> None:
    """Look at ports, disk, database version, pending migrations, keys, dead letters; exit code 1 when one is wrong."""
    with console.clear_errors():
        findings = list(doctor.examine(_settings()))
    here = console.locale()
    if as_json:
        console.print_json(
            [
                {
                    "name": one.name,
                    "fine": one.fine,
                    "text": one.text.say(here),
                    "mend": None if one.fine or not one.mend else one.mend.say(here),
                }
                for one in findings
            ]
        )
    else:
        for one in findings:
            console.out.print(f"[{'green' if one.fine else 'red'}]{'✓' if one.fine else '✗'}[/] {one.text.say(here)}")
            if not one.fine and one.mend:
                console.out.print(f"  → {one.mend.say(here)}", style="yellow", highlight=False)
    raise typer.Exit(0 if all(one.fine for one in findings) else 1)


@app.command(help=say("Bring the database to the newest schema.", "将数据库升级到最新结构。"))
def migrate(as_json: JsonOption = False) -> None:
    """Apply pending revisions; safe beside a running server."""
    with console.clear_errors():
        with visit(_settings()) as house:
            applied = setup.migrate(house.url)
        if as_json:
            console.print_json({"applied": applied})
        else:
            console.out.print(
                say("{count} migrations applied", "已执行 {count} 个迁移", count=len(applied))
                if applied
                else say("the database is up to date", "数据库已是最新")
            )


@app.command(help=say("Install wallet types, a first programme, a first key.", "安装积分类型、首个计划与首个密钥。"))
def seed() -> None:
    """Do what `up` does before it serves."""
    with console.clear_errors():
        with visit(_settings()) as house:
            setup.migrate(house.url)
            _first_things(house)
        console.out.print(say("everything is in place", "初始化完成"))


@app.command("openapi", help=say("Write openapi.json, or check that it is current.", "生成或检查 openapi.json。"))
def openapi_(
    path: Annotated[Path, typer.Argument(help=say("the file", "文件路径"))] = Path("openapi.json"),
    check: Annotated[bool, typer.Option("--check", help=say("only compare", "仅比较"))] = False,
) -> None:
    """Describe every route of the house."""
    if check:
        if not openapi.is_current(path):
            console.fail(
                say("{path} is out of date: run changke openapi", "{path} 已过期：请运行 changke openapi", path=path)
            )
        console.out.print(say("{path} is current", "{path} 为最新", path=path))
    else:
        openapi.write(path)


@app.command("schema-check", hidden=True)
def schema_check() -> None:
    """Compare the database with the tables in the code; exit code 1 when they differ."""
    with console.clear_errors(), visit(_settings()) as house:
        differences = migrations.check(house.url)
    for line in differences:
        console.err.print(line, highlight=False)
    raise typer.Exit(1 if differences else 0)


def main() -> None:
    """Run the command line."""
    app()


if __name__ == "__main__":
    main()
