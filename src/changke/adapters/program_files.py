"""A programme as a folder of YAML files, and back.

    program.yaml          the frame, and small campaigns
    campaigns/*.yaml      a campaign each
    sets/NAME.txt         a set of SKUs, one a line
    wallets.yaml  tiers.yaml  coupons.yaml  benefits.yaml  rewards.yaml        what the programme needs of other modules

Every fault knows its file and line.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from pydantic import ConfigDict

from changke.kernel import yaml_documents as yaml
from changke.kernel.documents import Codec, Faulty
from changke.kernel.errors import Refusal, RefusalCode
from changke.kernel.i18n import Text
from changke.modules.benefits.terms_coupons import Template
from changke.modules.benefits.terms_matrix import Matrix
from changke.modules.benefits.terms_rewards import Reward
from changke.modules.ledger.wallet_types import WalletType
from changke.modules.programs import queries_documents as documents
from changke.modules.programs.terms_definition import Program
from changke.modules.tiers.terms_definition import TierSet

T = TypeVar("T")
INLINE_SET_MAX = 12
FILE_BYTES_MAX = 8 * 2**20
NO_PROGRAM_FILE = RefusalCode("no_program_file", 422, Text("{have} has no program.yaml", "{have} 中没有 program.yaml"))
UNREADABLE_FILE = RefusalCode(
    "unreadable_program_file", 422, Text("{have} cannot be read: {reason}", "无法读取 {have}：{reason}")
)


@dataclass(frozen=True, slots=True)
class WalletFile:
    """wallets.yaml"""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")
    wallets: tuple[WalletType, ...]


@dataclass(frozen=True, slots=True)
class CouponFile:
    """coupons.yaml"""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")
    coupons: tuple[Template, ...]


@dataclass(frozen=True, slots=True)
class RewardFile:
    """rewards.yaml"""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")
    rewards: tuple[Reward, ...]


WALLET: Codec[WalletType] = Codec(WalletType)
COUPON: Codec[Template] = Codec(Template)
REWARD: Codec[Reward] = Codec(Reward)
WALLETS: Codec[WalletFile] = Codec(WalletFile)
TIERS: Codec[TierSet] = Codec(TierSet)
COUPONS: Codec[CouponFile] = Codec(CouponFile)
BENEFITS: Codec[Matrix] = Codec(Matrix)
REWARDS: Codec[RewardFile] = Codec(RewardFile)
_OTHERS: Mapping[str, Codec[Any]] = {
    "wallets": WALLETS, "tiers": TIERS, "coupons": COUPONS, "benefits": BENEFITS, "rewards": REWARDS
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Contents:
    """What a folder says. None or nothing: the folder is silent about it, so it is left as it is."""

    program: Program
    wallets: tuple[WalletType, ...] = ()
    tiers: TierSet | None = None
    coupons: tuple[Template, ...] = ()
    benefits: Matrix | None = None
    rewards: tuple[Reward, ...] = ()


@dataclass(frozen=True, slots=True)
class FileFault:
    """A fault with the place where it stands."""

    file: str
    line: int
    refusal: Refusal


class FolderFaulty(Exception):
    """A folder with faults, in the order of files and lines."""

    def __init__(self, faults: list[FileFault]) -> None:
        super().__init__(f"{len(faults)} faults")
        self.faults = tuple(sorted(faults, key=lambda one: (one.file, one.line)))


@dataclass(slots=True)
class _Pieces:
    """A document put together from files: which path came from which file."""

    data: Any = None
    files: dict[str, tuple[str, yaml.Document]] = field(default_factory=dict)

    def place(self, path: str) -> tuple[str, int]:
        prefix = max((one for one in self.files if path.startswith(one)), key=len, default="")
        file, document = self.files[prefix]
        return file, document.line(path[len(prefix) :].lstrip("."))


class Folder:
    """A folder that was read; `contents` says what it means, `place` where a path of its programme stands."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._faults: list[FileFault] = []
        if not (path / "program.yaml").is_file():
            raise Refusal(NO_PROGRAM_FILE, have=str(path))
        self._program = self._read_program()
        self._others = {
            name: _Pieces(document.data, {"": (f"{name}.yaml", document)})
            for name in _OTHERS
            if (path / f"{name}.yaml").is_file() and (document := self._read(f"{name}.yaml")) is not None
        }

    def contents(self) -> Contents:
        """Return what the folder says; raises `FolderFaulty` with every fault of every file."""
        program = self._checked(self._program, documents.parse) if self._program.files else None
        found = {name: self._checked(one, _OTHERS[name].read) for name, one in self._others.items()}
        if self._faults or program is None:
            raise FolderFaulty(self._faults)
        wallets, coupons, rewards = (found.get(name) for name in ("wallets", "coupons", "rewards"))
        return Contents(
            program,
            wallets.wallets if wallets else (),
            found.get("tiers"),
            coupons.coupons if coupons else (),
            found.get("benefits"),
            rewards.rewards if rewards else (),
        )

    def place(self, path: str, document: str = "program") -> tuple[str, int]:
        """Return the file and line of a path of a document."""
        pieces = self._others.get(document, self._program)
        return pieces.place(path) if pieces.files else ("program.yaml", 1)

    def _checked(self, pieces: _Pieces, read: Callable[[Any], T]) -> T | None:
        try:
            return read(pieces.data)
        except Faulty as faulty:
            self._faults += [FileFault(*pieces.place(one.field or ""), one) for one in faulty.faults]
        except Refusal as refusal:
            self._faults.append(FileFault(*pieces.place(refusal.field or ""), refusal))
        return None

    def _read(self, name: str) -> yaml.Document | None:
        try:
            raw = (self.path / name).read_bytes()
            return yaml.read(raw.decode("utf-8-sig"))
        except UnicodeDecodeError:
            refusal = Refusal(UNREADABLE_FILE, have=name, reason="not UTF-8")
        except Refusal as found:
            refusal = found
        self._faults.append(FileFault(name, int(str(refusal.params.get("line", 1))), refusal))
        return None

    def _read_program(self) -> _Pieces:
        frame = self._read("program.yaml")
        if frame is None or not isinstance(frame.data, dict):
            return _Pieces(None if frame is None else frame.data, {"": ("program.yaml", frame)} if frame else {})
        pieces = _Pieces(dict(frame.data), {"": ("program.yaml", frame)})
        inside = pieces.data.get("campaigns")
        campaigns = list(inside) if isinstance(inside, list) else []
        for file in sorted((self.path / "campaigns").glob("*.yaml")):
            name = f"campaigns/{file.name}"
            document = self._read(name)
            if document is not None:
                pieces.files[f"campaigns[{len(campaigns)}]"] = (name, document)
                campaigns.append(document.data)
        if campaigns and (inside is None or isinstance(inside, list)):
            pieces.data["campaigns"] = campaigns
        self._read_sets(pieces)
        return pieces

    def _read_sets(self, pieces: _Pieces) -> None:
        files = sorted((self.path / "sets").glob("*.txt"))
        inside = pieces.data.get("sets") or {}
        if files and isinstance(inside, dict):
            pieces.data["sets"] = {
                **inside,
                **{file.stem: file.read_text(encoding="utf-8-sig").split() for file in files},
            }


def write_folder(path: Path, contents: Contents) -> list[str]:
    """Write a folder that says the same as `contents`; returns the files. What else lies there stays."""
    data = documents.spoken(contents.program)
    sets = data.pop("sets", None) or {}
    campaigns = data.pop("campaigns", [])
    inline = {name: members for name, members in sets.items() if len(members) <= INLINE_SET_MAX}
    files = {"program.yaml": yaml.write(data | ({"sets": inline} if inline else {}))}
    files |= {f"campaigns/{one['code']}.yaml": yaml.write(one) for one in campaigns}
    files |= {f"sets/{name}.txt": "\n".join(sets[name]) + "\n" for name in sets if name not in inline}
    files |= {f"{name}.yaml": yaml.write(one) for name, one in _other_data(contents).items()}
    for old in [*(path / "campaigns").glob("*.yaml"), *(path / "sets").glob("*.txt")]:
        if f"{old.parent.name}/{old.name}" not in files:
            old.unlink()
    for name, text in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_text(_headed(name, text), encoding="utf-8")
    return sorted(files)


def _other_data(contents: Contents) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if contents.wallets:
        found["wallets"] = WALLETS.native(WalletFile(contents.wallets))
    if contents.tiers is not None:
        found["tiers"] = TIERS.native(contents.tiers)
    if contents.coupons:
        found["coupons"] = COUPONS.native(CouponFile(contents.coupons))
    if contents.benefits is not None:
        found["benefits"] = BENEFITS.native(contents.benefits)
    if contents.rewards:
        found["rewards"] = REWARDS.native(RewardFile(contents.rewards))
    return found


def _headed(name: str, text: str) -> str:
    """Tell editors which schema a file follows."""
    if not name.endswith(".yaml"):
        return text
    folder, _, file = name.rpartition("/")
    schema = "campaign" if folder == "campaigns" else file.removesuffix(".yaml")
    up = "../../schema" if folder else "../schema"
    return f"# yaml-language-server: $schema={up}/{schema}.schema.json\n{text}"


def schemas() -> dict[str, dict[str, Any]]:
    """Return the JSON Schema of every kind of file, by name."""
    return {
        **documents.schemas(),
        **{name: codec.schema() | {"title": f"Changke {name}"} for name, codec in _OTHERS.items()},
    }
