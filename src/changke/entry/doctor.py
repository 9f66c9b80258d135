"""`changke doctor`: what is wrong with this machine or this home, and how to mend it."""

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg

from changke.adapters.embedded_postgres import EmbeddedPostgres, port_is_free
from changke.entry import wiring
from changke.kernel import migrations
from changke.kernel.i18n import Text
from changke.kernel.settings import Settings

_DISK_FREE_MIN = 2 * 2**30
_DATABASE_VERSION_MIN = 15_0000


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at: fine, or what is wrong and how to mend it."""

    name: str
    fine: bool
    text: Text
    mend: Text | None = None


def examine(settings: Settings) -> Iterator[Finding]:
    """Look at the home folder, disk, port, database, its version, migrations, keys and dead letters."""
    yield from _home(settings)
    yield _disk(settings.home)
    yield _port(settings)
    yield from _database(settings)


def _home(settings: Settings) -> Iterator[Finding]:
    place = next(folder for folder in (settings.home, *settings.home.parents) if folder.exists())
    writable = os.access(place, os.W_OK)
    yield Finding(
        "home",
        writable,
        Text(f"home folder {settings.home}", f"数据目录 {settings.home}"),
        Text(f"{place} is not writable for you: set CHANGKE_HOME", f"{place} 不可写：请设置 CHANGKE_HOME"),
    )
    keys = settings.home / "keys.json"
    if keys.exists():
        closed = keys.stat().st_mode & 0o077 == 0
        yield Finding(
            "keys",
            closed,
            Text("keys.json is readable by its owner only", "keys.json 仅所有者可读"),
            Text(f"others can read the keys: chmod 600 {keys}", f"他人可读取密钥：chmod 600 {keys}"),
        )


def _disk(home: Path) -> Finding:
    place = next(folder for folder in (home, *home.parents) if folder.exists())
    free = shutil.disk_usage(place).free
    return Finding(
        "disk",
        free >= _DISK_FREE_MIN,
        Text(f"{free / 2**30:.1f} GB free under {place}", f"{place} 剩余 {free / 2**30:.1f} GB"),
        Text("make room: at least 2 GB should be free", "请清理磁盘：至少需要 2 GB 可用空间"),
    )


def _port(settings: Settings) -> Finding:
    lock = settings.home / "changke.lock"
    ours = lock.exists() and _alive(lock)
    free = port_is_free(settings.host, settings.port)
    return Finding(
        "port",
        free or ours,
        Text(
            f"port {settings.port}: {'free' if free else 'in use by Changke'}",
            f"端口 {settings.port}：{'空闲' if free else 'Changke 使用中'}",
        ),
        Text(
            f"another program uses port {settings.port}: choose one with CHANGKE_PORT",
            f"端口 {settings.port} 被占用：请用 CHANGKE_PORT 指定其他端口",
        ),
    )


def _alive(lock: Path) -> bool:
    try:
        os.kill(int(lock.read_text() or "0") or os.getpid(), 0)
    except (ProcessLookupError, ValueError):
        return False
    except PermissionError:
        return True
    return True


def _database(settings: Settings) -> Iterator[Finding]:
    house = wiring.open_house(settings, start=False)
    if isinstance(house.server, EmbeddedPostgres) and house.server.pid is None:
        made = (house.server.data / "PG_VERSION").exists()
        yield Finding(
            "database",
            True,
            Text(
                "the embedded server is not running" + ("" if made else " and has no data yet"),
                "内置数据库未运行" + ("" if made else "，尚无数据"),
            ),
        )
        return
    try:
        with psycopg.connect(house.url, connect_timeout=5) as connection:
            yield _version(connection)
            yield _migrations(house.url)
            yield from _dead_letters(connection)
    except psycopg.OperationalError as error:
        reason = str(error).strip().splitlines()[-1]
        yield Finding(
            "database",
            False,
            Text("the database does not answer", "数据库无响应"),
            Text(f"check CHANGKE_DATABASE_URL and the server: {reason}", f"请检查 CHANGKE_DATABASE_URL：{reason}"),
        )


def _version(connection: psycopg.Connection) -> Finding:
    number = connection.info.server_version
    return Finding(
        "database version",
        number >= _DATABASE_VERSION_MIN,
        Text(f"PostgreSQL {number // 10000}.{number % 10000}", f"PostgreSQL {number // 10000}.{number % 10000}"),
        Text("Changke needs PostgreSQL 15 or later", "Changke 需要 PostgreSQL 15 或更高版本"),
    )


def _migrations(url: str) -> Finding:
    waiting = migrations.pending(url)
    return Finding(
        "migrations",
        not waiting,
        Text(
            f"{len(waiting)} migrations pending" if waiting else "the database is up to date",
            f"{len(waiting)} 个迁移待执行" if waiting else "数据库结构为最新",
        ),
        Text("run: changke migrate", "请运行：changke migrate"),
    )


def _dead_letters(connection: psycopg.Connection) -> Iterator[Finding]:
    looks: list[tuple[str, str, Callable[[int], Text], Text]] = [
        (
            "dead letters",
            "SELECT count(*) FROM kernel.dead_letter",
            lambda count: Text(f"{count} announcements could not be handled", f"{count} 条消息处理失败"),
            Text("look at: changke dead-letters", "请查看：changke dead-letters"),
        ),
        (
            "dead jobs",
            "SELECT count(*) FROM kernel.job WHERE dead",
            lambda count: Text(f"{count} jobs gave up", f"{count} 个任务已放弃"),
            Text("look at the table kernel.job, column error", "请查看 kernel.job 表的 error 列"),
        ),
    ]
    for name, statement, say, mend in looks:
        exists = connection.execute("SELECT to_regclass('kernel.dead_letter')").fetchone()
        if exists and exists[0]:
            row = connection.execute(statement).fetchone()
            count = row[0] if row else 0
            yield Finding(name, count == 0, say(count), mend)
