"""`import_file`: one file from disk through the file intake, with its rejects written beside it."""

from collections.abc import Sequence
from pathlib import Path

import orjson

from changke.adapters.files import File
from changke.kernel.clock import Clock
from changke.kernel.crypto import KeyRing
from changke.kernel.database import Database
from changke.kernel.errors import Refusal
from changke.kernel.i18n import Locale
from changke.modules.activity.commands_imports import BATCH_ITEMS, Importer
from changke.modules.activity.ports import Decide
from changke.modules.activity.terms_import import FILE_UNREADABLE, ImportReport, ProgressReport, Reject
from changke.modules.activity.translate import mapping as mappings
from changke.modules.activity.translate.mapping import FileMapping
from changke.modules.identity.terms import DEFAULT_REGION

_LOCALES: tuple[Locale, ...] = ("en", "zh-CN")


def read_mapping(path: Path) -> FileMapping:
    """Return the mapping in a YAML file; refuses an unreadable one, or says which line is wrong and why."""
    try:
        return mappings.load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise Refusal(FILE_UNREADABLE, field=path.name, reason=str(error)) from error


def import_file(
    database: Database,
    path: Path,
    mapping: FileMapping | None,
    *,
    keyring: KeyRing,
    clock: Clock,
    decide: Decide | None = None,
    dry_run: bool = False,
    progress: ProgressReport | None = None,
    batch_size: int = BATCH_ITEMS,
    rejects_path: Path | None = None,
    region: str = DEFAULT_REGION,
) -> ImportReport:
    """Take in a CSV, JSON Lines or Parquet file; start it again as often as you like, nothing is doubled.

    Without a mapping the file must be JSON Lines of our own events. What is refused stands in `<name>.rejects.jsonl`
    beside the file (or at `rejects_path`) and in the rejects store. A dry run writes no database row.
    """
    options = (mapping.format, mapping.encoding, mapping.delimiter) if mapping else ("jsonl", None, None)
    file = File(path, format=options[0], encoding=options[1], delimiter=options[2])
    sink = RejectsFile(rejects_path or path.with_name(path.name + ".rejects.jsonl"))
    importer = Importer(database, keyring, clock, decide, batch_size, region)
    return importer.run(file, mapping, rejects=sink, dry_run=dry_run, progress=progress)


class RejectsFile:
    """Rejects as JSON Lines: position, rows, event_id, code, field, reason in both languages, and the item itself."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def path(self) -> str | None:
        """Where the rejects are, when there are any."""
        return str(self._path) if self._path.exists() else None

    def keep_before(self, position: int) -> None:
        """Forget what was written of items from `position` on."""
        if not self._path.exists():
            return
        kept = [line for line in self._path.read_bytes().splitlines(keepends=True) if _position(line) < position]
        if kept:
            self._path.write_bytes(b"".join(kept))
        else:
            self._path.unlink()

    def write(self, rejects: Sequence[Reject]) -> None:
        """Append rejects."""
        if rejects:
            with self._path.open("ab") as file:
                file.writelines(_line(reject) for reject in rejects)


def _position(line: bytes) -> int:
    """The position of a line that was written whole; one that was cut off by a crash counts as not written."""
    try:
        return int(orjson.loads(line)["position"])
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return 2**63


def _line(reject: Reject) -> bytes:
    refusal = reject.refusal
    return orjson.dumps(
        {
            "position": reject.position,
            "rows": list(reject.rows),
            "event_id": reject.event_id,
            "code": refusal.code.code,
            "field": refusal.field,
            "reason": {locale: refusal.say(locale) for locale in _LOCALES},
            "item": reject.raw,
        },
        option=orjson.OPT_APPEND_NEWLINE,
        default=str,
    )
