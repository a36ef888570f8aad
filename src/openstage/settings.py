"""The one settings object: `OPENSTAGE_*` variables over an optional `openstage.toml` over defaults.

`docs/settings.md` and `openstage settings` are made from this class; a setting without a help text fails a test.
"""

import ipaddress
import os
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BeforeValidator, Field, NonNegativeInt, PositiveFloat, PositiveInt
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

ReviewMode = Literal["none", "before", "after"]
EncoderChoice = Literal["auto", "software", "nvenc", "vaapi", "qsv"]
Seconds = PositiveInt
Bytes = PositiveInt
Money = Annotated[Decimal, Field(ge=0, max_digits=14, decimal_places=2)]

MIB = 1024**2
GIB = 1024**3
DAY = 24 * 3600


def _networks(text: str) -> str:
    for part in filter(None, map(str.strip, text.split(","))):
        ipaddress.ip_network(part, strict=False)
    return text


def _listed(value: object) -> object:
    """Take a list as one text too, with commas between, as a variable of the environment holds it."""
    return [part for part in map(str.strip, value.split(",")) if part] if isinstance(value, str) else value


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise ValueError("no such time zone; names are like Asia/Shanghai, Europe/Berlin, UTC") from error
    return name


def _empty_is_none(value: object) -> object:
    return None if value == "" else value


class Settings(BaseSettings):
    """Everything an operator can set. Durations are in seconds and sizes in bytes unless the name says otherwise."""

    model_config = SettingsConfigDict(env_prefix="OPENSTAGE_", extra="ignore", frozen=True)

    # --- where things are -------------------------------------------------------------------------------------
    data: Annotated[Path, Field(description="Data folder: embedded database, staging files, objects, keys.")] = Path(
        "data"
    )
    listen: Annotated[
        str,
        Field(description="Address and port to listen on.", pattern=r"^(\[[0-9a-fA-F:]+\]|[^:\s]+):\d{1,5}$"),
    ] = "127.0.0.1:8080"
    public_url: Annotated[
        str, Field(description="Public address of the server; empty: http:// and the listen address.")
    ] = ""
    upload_url: Annotated[
        str,
        Field(description="Public address of the upload role (`/openupload`, …); empty: public_url."),
    ] = ""
    api_url: Annotated[str, Field(description="Public address of the open API role (`/api/…`); empty: public_url.")] = (
        ""
    )
    media_url: Annotated[
        str,
        Field(description="Public address of the media role (media, pictures, pages); empty: public_url."),
    ] = ""
    database_url: Annotated[
        str,
        Field(description="PostgreSQL address (`postgresql://…`); empty: the embedded database."),
    ] = ""
    storage_url: Annotated[
        str,
        Field(description="Object store (`s3://bucket/prefix`, `gs://…`, `az://…`, `file:///…`); empty: a folder."),
    ] = ""
    accel_prefix: Annotated[
        str,
        Field(
            description="Internal location of nginx over the object folder, such as `/objects`: media are handed over"
            " to it by `X-Accel-Redirect`; empty: the server sends them itself.",
            pattern=r"^(/[\w/.-]*)?$",
        ),
    ] = ""
    ffmpeg: Annotated[str, Field(description="ffmpeg program; empty: the one that comes with Openstage.")] = ""

    # --- what is allowed --------------------------------------------------------------------------------------
    review: Annotated[
        ReviewMode,
        Field(description="Review of works: `none`, `before` publication, or `after` it (taken down if refused)."),
    ] = "none"
    quota: Annotated[
        NonNegativeInt,
        Field(description="Bytes an app may store unless its own quota says otherwise; 0: no limit."),
    ] = 0
    sign_up: Annotated[
        bool, Field(description="Anybody may make an account; else only `openstage user create` does.")
    ] = False
    proxies: Annotated[
        str,
        AfterValidator(_networks),
        Field(
            description="Addresses or networks of proxies, with commas between: what they say of a client's address"
            " (`X-Forwarded-For`) is believed, and counts where guesses are limited."
        ),
    ] = "127.0.0.0/8, ::1"
    outbound_allow: Annotated[
        list[str],
        NoDecode,
        BeforeValidator(_listed),
        Field(
            description="Host names (`media.internal`, `*.internal`), addresses and networks (`10.1.0.0/16`), with"
            " commas between, that users' links and callbacks may lead to although they aren't public."
        ),
    ] = []
    max_upload: Annotated[Bytes, Field(description="Largest file that may be uploaded, in bytes.")] = 256 * GIB
    max_recording: Annotated[
        Bytes,
        Field(description="Largest recording that is taken in one request, or fetched from an address, in bytes."),
    ] = 2 * GIB
    max_piece: Annotated[Bytes, Field(description="Largest piece of an upload, in bytes.")] = 16 * GIB
    min_free: Annotated[
        NonNegativeInt,
        Field(description="Bytes that stay free on the disk: uploads and transcoding are refused below it."),
    ] = 256 * MIB
    max_duration: Annotated[Seconds, Field(description="Longest medium that is published.")] = 12 * 3600
    max_pixels: Annotated[PositiveInt, Field(description="Largest picture (width × height) that is decoded.")] = (
        8192 * 4320
    )
    max_streams: Annotated[PositiveInt, Field(description="Most streams a file may have.")] = 64

    # --- music library ----------------------------------------------------------------------------------------
    currency: Annotated[
        str,
        Field(
            description="Currency of all prices, by its ISO 4217 code; prices have two decimals.", pattern="^[A-Z]{3}$"
        ),
    ] = "CNY"
    credit_limit: Annotated[
        Money | None,
        BeforeValidator(_empty_is_none),
        Field(
            description="What an app may owe for licences unless it has a limit of its own; 0: it pays ahead; empty: no"
            " limit."
        ),
    ] = None
    time_zone: Annotated[
        str,
        AfterValidator(_zone),
        Field(description="Time zone of the music library's dates, on the wire and on certificates."),
    ] = "Asia/Shanghai"

    licensor: Annotated[
        str,
        Field(description="Who grants the licences, as certificates say; empty: the public address.", max_length=300),
    ] = ""

    # --- lifetimes --------------------------------------------------------------------------------------------
    access_token_lifetime: Annotated[Seconds, Field(description="Life of an access token.")] = 1 * DAY
    refresh_token_lifetime: Annotated[Seconds, Field(description="Life of a refresh token.")] = 30 * DAY
    refresh_grace: Annotated[
        NonNegativeInt,
        Field(description="For so long a used refresh token gives the same successor again (a reply may be lost)."),
    ] = 60
    secret_grace: Annotated[
        NonNegativeInt, Field(description="For so long the old secret stays valid after a rotation.")
    ] = 1 * DAY
    session_lifetime: Annotated[
        Seconds, Field(description="A browser that was not used for so long is signed out.")
    ] = 30 * DAY
    code_lifetime: Annotated[Seconds, Field(description="Life of an authorization code.")] = 5 * 60
    device_code_lifetime: Annotated[
        Seconds, Field(description="For so long a device waits for the person who confirms its sign-in.")
    ] = 15 * 60
    ticket_lifetime: Annotated[
        Seconds, Field(description="For so long a QR code waits for the person who confirms the sign-in.")
    ] = 10 * 60
    address_lifetime: Annotated[Seconds, Field(description="Life of a signed media address.")] = 15 * 60
    library_address_lifetime: Annotated[
        Seconds,
        Field(description="Life of the music library's addresses: previews, waveforms, files that were bought."),
    ] = 10 * 60
    upload_lifetime: Annotated[Seconds, Field(description="Life of an unfinished upload after its last piece.")] = (
        7 * DAY
    )
    piece_timeout: Annotated[
        PositiveFloat, Field(description="A piece whose sender stays silent for so many seconds is dropped.")
    ] = 60.0
    event_memory: Annotated[
        Seconds, Field(description="For so long events that were delivered, or given up, stay in the log of callbacks.")
    ] = 30 * DAY
    fetch_time: Annotated[
        Seconds, Field(description="A recording that is fetched from an address must be there within so many seconds.")
    ] = 30 * 60
    deletion_grace: Annotated[
        NonNegativeInt,
        Field(description="For so long a deleted work can be restored; then its bytes are removed."),
    ] = 7 * DAY

    # --- work -------------------------------------------------------------------------------------------------
    worker: Annotated[bool, Field(description="Run a worker beside the server.")] = True
    first_concurrency: Annotated[
        PositiveInt,
        Field(description="Works that one worker makes playable at once, and uploads it begins with as they come in."),
    ] = 2
    worker_concurrency: Annotated[
        NonNegativeInt,
        Field(description="Everything else that one worker does at once; 0: as much as the machine has cores."),
    ] = 0
    callback_concurrency: Annotated[
        PositiveInt, Field(description="Callbacks that one worker delivers at once, at most 4 of an app to one host.")
    ] = 32
    callback_timeout: Annotated[
        PositiveFloat, Field(description="A receiver of callbacks that says nothing for so many seconds has failed.")
    ] = 15.0
    callback_retries: Annotated[
        list[PositiveFloat],
        NoDecode,
        BeforeValidator(_listed),
        Field(
            description="Seconds between the tries of a callback, with commas between; after the last it is given up."
        ),
    ] = [5, 60, 300, 1800, 7200, 18000, 28800, 28800]
    fetch_concurrency: Annotated[
        PositiveInt,
        Field(description="Recordings that one worker fetches from their addresses at once; of one app, half of that."),
    ] = 8
    encoder_threads: Annotated[
        NonNegativeInt, Field(description="Threads of one encoder of the ladder; 0: as many as the machine has cores.")
    ] = 1
    encoder: Annotated[
        EncoderChoice,
        Field(description="What encodes the ladder: `software`, `nvenc`, `vaapi`, `qsv`, or `auto`: what works here."),
    ] = "auto"
    chunk_seconds: Annotated[
        PositiveFloat, Field(description="Seconds of a film that one job of the ladder makes, about.")
    ] = 40.0
    wait_for_all: Annotated[
        bool,
        Field(description="A work counts as published when all its renditions are whole, not at the first one."),
    ] = False
    preview_seconds: Annotated[
        PositiveInt, Field(description="Seconds of a track that its preview plays; shorter tracks are heard whole.")
    ] = 60
    preview_bit_rate: Annotated[
        Literal[64000, 96000, 128000, 160000, 192000, 256000, 320000],
        Field(description="Bits per second of a track's preview MP3."),
    ] = 128_000
    database_pool: Annotated[PositiveInt, Field(description="Most database connections of one process.")] = 8

    # --- logs -------------------------------------------------------------------------------------------------
    log_format: Annotated[Literal["text", "json"], Field(description="Form of the log lines.")] = "text"
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"], Field(description="Least level that is logged.")
    ] = "info"

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Order of the sources: arguments, `OPENSTAGE_*`, the TOML file (`OPENSTAGE_CONFIG` or ./openstage.toml)."""
        file = Path(os.environ.get("OPENSTAGE_CONFIG", "openstage.toml"))
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, toml_file=file)

    # --- derived ----------------------------------------------------------------------------------------------
    @property
    def folder(self) -> Path:
        """The data folder as an absolute path."""
        return self.data.expanduser().absolute()

    @property
    def staging_folder(self) -> Path:
        """Folder of the files that are being received."""
        return self.folder / "staging"

    @property
    def scratch_folder(self) -> Path:
        """Folder in which media tools write before their results move to the object store."""
        return self.folder / "scratch"

    @property
    def search_folder(self) -> Path:
        """Folder of the search index, made again from the database whenever it is missing."""
        return self.folder / "search"

    @property
    def host(self) -> str:
        """Host part of the listen address, without brackets."""
        return self.listen.rpartition(":")[0].strip("[]")

    @property
    def port(self) -> int:
        """Port part of the listen address."""
        return int(self.listen.rpartition(":")[2])

    @property
    def ladder_concurrency(self) -> int:
        """How many jobs of the ladder one worker does at once."""
        return self.worker_concurrency or len(os.sched_getaffinity(0))

    def base(self, role: Literal["public", "upload", "api", "media"] = "public") -> str:
        """Public address of a role, without a slash at its end."""
        by_role = {"public": "", "upload": self.upload_url, "api": self.api_url, "media": self.media_url}
        return (by_role[role] or self.public_url or f"http://{self.listen}").rstrip("/")


def load() -> Settings:
    """Read the settings from the environment and the file.

    Raises:
        pydantic.ValidationError: a value can't be what it should be; the message names the setting.

    """
    return Settings()
