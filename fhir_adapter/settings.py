"""All settings as one frozen object; the file examples/settings.toml shows each with its meaning."""

from __future__ import annotations

import tomllib
from datetime import date
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from fhir_adapter.access.identity import Party
from fhir_adapter.errors import BadDeclaration

ORGNR = "urn:oid:2.5.4.97"
"""System of Swedish organisation numbers (HL7 Sweden base profiles)."""

PLANS = "plans.sqlite"
"""File of the data folder that holds the shared plans."""

LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


_PORT = r"6553[0-5]|655[0-2]\d|65[0-4]\d{2}|6[0-4]\d{3}|[1-5]\d{4}|\d{1,4}"

BASE_URL = rf"^https?://(\[[0-9A-Fa-f:.]+\]|[^\s/\[\]:?#@]+)(:({_PORT}))?(/[^\s?#]*)?$"
"""What the base URL of a FHIR server looks like. Credentials in it would end up in logs."""


class PartySettings(BaseModel):
    """One system that takes part: a municipal system with a mapping, or a FHIR server with its base URL."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")
    title: str
    identifiers: tuple[tuple[str, str], ...] = ()
    mapping: str | None = None
    fhir: str | None = Field(default=None, pattern=BASE_URL)

    @model_validator(mode="after")
    def _speaks_one_language(self) -> PartySettings:
        if (self.mapping is None) == (self.fhir is None):
            raise ValueError("a party has either `mapping` or `fhir`")
        return self

    def as_party(self) -> Party:
        """The party as the rest of the service knows it."""
        return Party(
            self.name,
            self.title,
            frozenset(self.identifiers),
            self.mapping,
            self.fhir.rstrip("/") if self.fhir else None,
        )


class Settings(BaseModel):
    """Everything that can be set. Times are seconds, sizes bytes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    data: Path = Path("data")
    host: str = "127.0.0.1"
    port: int = Field(default=8080, ge=0, le=65535)
    mappings: Path | None = None
    body_limit: int = Field(default=5_000_000, gt=0)
    sync_interval: float = Field(default=5.0, gt=0)
    remote_timeout: float = Field(default=10.0, gt=0)
    delivery_attempts: int = Field(default=12, gt=0)
    refused_attempts: int = Field(default=3, gt=0)
    lease: float = Field(default=120.0, gt=0)
    deliveries_at_once: int = Field(default=4, gt=0)
    longest_pause: float = Field(default=300.0, gt=0)
    circuit_failures: int = Field(default=3, gt=0)
    check_interval: float = Field(default=60.0, ge=0)
    stop_when_lost_share: float = Field(default=0.3, gt=0, le=1)
    consents_judged_on: date | None = None
    parties: tuple[PartySettings, ...] = ()

    @model_validator(mode="after")
    def _is_safe_and_clear(self) -> Settings:
        if self.host not in LOOPBACK:
            raise ValueError(
                f"host {self.host}: callers are not authenticated yet, so the server only listens on loopback"
            )
        names = [party.name for party in self.parties]
        if len(names) != len(set(names)):
            raise ValueError("two parties have the same name")
        return self


def read_settings(file: Path | None, **given: Any) -> Settings:
    """Settings from a TOML file, overridden by what was `given`. Raises BadDeclaration naming what is wrong."""
    try:
        values = tomllib.loads(file.read_text("utf-8")) if file else {}
    except (OSError, tomllib.TOMLDecodeError) as fault:
        raise BadDeclaration(f"settings {file}: {fault}") from None
    values |= {name: value for name, value in given.items() if value is not None}
    try:
        return Settings(**values)
    except ValidationError as fault:
        what = "; ".join(
            f"{'.'.join(map(str, error['loc']))}: {error['msg'].removeprefix('Value error, ')}".removeprefix(": ")
            for error in fault.errors()
        )
        raise BadDeclaration(f"settings{f' {file}' if file else ''}: {what}") from None


DEMO_DAY = date(2025, 11, 1)
"""The day on which the demo judges consents: those of the sample cases were given for 2025 and have ended since."""


def as_demo(settings: Settings, region_url: str) -> Settings:
    """The same settings with the demo's parties, a quick look at the region, and consents judged on the cases' day."""
    return settings.model_copy(
        update={"parties": demo_parties(region_url), "sync_interval": 0.5, "consents_judged_on": DEMO_DAY}
    )


DEMO_MARK = "demo"
"""File in a demo's data folder: the base URL of its region. Commands find the demo's parties by it."""


def claim_for_demo(folder: Path) -> None:
    """Make this a demo's data folder. Raises BadDeclaration when it holds other plans: a demo must not touch them."""
    if (folder / PLANS).exists() and not (folder / DEMO_MARK).exists():
        raise BadDeclaration(f"{folder}: there are plans in this folder that are not a demo's; name another folder")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / DEMO_MARK).touch()
    except OSError as fault:
        raise BadDeclaration(f"{folder}: {fault.strerror}") from None


def mark_demo(folder: Path, region_url: str) -> None:
    """Note where the region of the demo in this folder answers."""
    (folder / DEMO_MARK).write_text(region_url, "utf-8")


def demo_marked(settings: Settings) -> Settings:
    """The same settings; with the demo's parties where the data folder is a demo's and no parties are set."""
    mark = settings.data / DEMO_MARK
    region_url = mark.read_text("utf-8") if not settings.parties and mark.exists() else ""
    return as_demo(settings, region_url) if region_url else settings


def demo_parties(region_url: str) -> tuple[PartySettings, ...]:
    """The three municipalities of the local SIP routine and their region's FHIR server."""
    municipality = {
        "sodertalje": ("Södertälje kommun", "2120000159"),
        "nykvarn": ("Nykvarns kommun", "2120002999"),
        "salem": ("Salems kommun", "2120002874"),
    }
    return (
        *(
            PartySettings(name=name, title=title, identifiers=((ORGNR, number),), mapping="se-sip")
            for name, (title, number) in municipality.items()
        ),
        PartySettings(
            name="region-stockholm", title="Region Stockholm", identifiers=((ORGNR, "2321000016"),), fhir=region_url
        ),
    )
