"""The service's settings: one place, one prefix, every one of them explained.

A setting is an argument of ``Settings(...)``, or the environment variable of the same name in
capitals with the prefix ``NITERU_``, or a line of the TOML file that ``NITERU_CONFIG`` names; the
first of these wins. Nothing is read when this module is imported.
"""

import difflib
import ipaddress
import os
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PositiveFloat,
    PositiveInt,
    SecretStr,
    ValidationError,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from indexer.engines.choice import MILVUS_NAME, MILVUS_URI, EngineChoice, EngineName
from indexer.runtime import Runtime
from service.addresses import check_network
from service.origins import check_origin

PREFIX = "NITERU_"

# Variables with our prefix that are not the service's.
OTHER_VARIABLES = frozenset({"NITERU_DATA", "NITERU_CONFIG"})
CONFIG = "NITERU_CONFIG"


def split(given: object) -> object:
    """A text with commas as a list; anything else as it is."""
    if isinstance(given, str):
        return [part.strip() for part in given.split(",") if part.strip()]
    return given


def as_text(given: object) -> object:
    """A path as the text that a URL would be, too."""
    return str(given) if isinstance(given, Path) else given


class Settings(BaseSettings):
    """Everything that can be set about the service. Unknown arguments are errors."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="forbid", frozen=True)

    store: Path = Field(description="Folder of the store that `niteru index` wrote.")
    weights: str | None = Field(
        default=None,
        description="Weights that embed the queries: a folder, or a name below `weights/`. "
        "Without it, the default of the command line. An index that was made with others is served "
        "with those, where they are at hand.",
    )
    runtime: Runtime = Field(
        default="auto",
        description="What embeds: `onnx`, `openvino`, `torch`; `auto` is `onnx`, or `torch` "
        "where the weights have no usable export.",
    )
    engine: EngineName = Field(
        default="faiss",
        description="What holds the index: `faiss`, in the store; or `milvus`, on a server.",
    )
    milvus_uri: str = Field(default=MILVUS_URI, description="Address of the Milvus server.")
    milvus_name: str = Field(
        default=MILVUS_NAME,
        description="Alias there that stands for the generation which answers; one for each store.",
    )
    milvus_token: SecretStr | None = Field(
        default=None,
        description="What the Milvus server lets in: `user:password`, or an API key.",
    )
    catalogue: Annotated[str, BeforeValidator(as_text)] | None = Field(
        default=None,
        description="Catalogue that `POST /v1/reindex` indexes: a folder of photos, a manifest or "
        "shards. "
        "Without it, that call is answered 501.",
    )
    photos_from: Annotated[tuple[str, ...], NoDecode, BeforeValidator(split)] = Field(
        default=(),
        description="Buckets and hosts (`https://cdn.shop.example`), with commas between them, "
        "that the catalogue's manifest may lead to beside its own place.",
    )
    reindex_workers: PositiveInt | Literal["ray"] = Field(
        default=1,
        description="Threads that read and embed while re-indexing. One leaves the other cores to "
        "searches. Or `ray`: the machines of a Ray cluster.",
    )
    host: str = Field(
        default="127.0.0.1",
        description="Address to listen on. The default cannot be reached from other machines.",
    )
    port: Annotated[int, Field(ge=0, le=65535)] = Field(
        default=8000, description="Port to listen on; 0 takes a free one."
    )
    api_keys: SecretStr | None = Field(
        default=None,
        description="Keys that may use the server: `ROLE:KEY` with commas between them; the roles "
        "are `search`, `write` and `admin`. Without any, it listens on loopback only.",
    )
    api_keys_file: Path | None = Field(
        default=None, description="File of further keys, one `ROLE:KEY` a line."
    )
    rate_limit: PositiveInt | None = Field(
        default=None,
        description="Requests a minute that each key may make, or each address without keys; "
        "as many may come at once. Without it, there is no such limit.",
    )
    cors_origins: Annotated[
        tuple[Annotated[str, AfterValidator(check_origin)], ...], NoDecode, BeforeValidator(split)
    ] = Field(
        default=(),
        description="Web pages that browsers may let call the server, by origin "
        "(`https://shop.example`), with commas between them; `*` for all. Without any, none.",
    )
    trusted_proxies: Annotated[
        tuple[Annotated[str, AfterValidator(check_network)], ...],
        NoDecode,
        BeforeValidator(split),
    ] = Field(
        default=(),
        description="Addresses and networks (`10.0.0.0/8`) of proxies whose `X-Forwarded-For` says "
        "who the client is, with commas between them. Without any, it is whoever connects.",
    )
    log_format: Literal["text", "json"] = Field(
        default="text", description="How a line of the log is written: `json` for machines."
    )
    max_upload_bytes: PositiveInt = Field(
        default=20 * 1024 * 1024,
        description="Largest request body in bytes, a form's own lines included. "
        "Counted as the body arrives.",
    )
    max_pixels: PositiveInt = Field(
        default=50_000_000,
        description="Most pixels of an uploaded image, judged from its header before decoding.",
    )
    fetch_urls: bool = Field(
        default=False,
        description="Whether a request may name the URL of its photo, which the server then "
        "fetches: over http and https, from public addresses only.",
    )
    fetch_timeout: PositiveFloat = Field(
        default=10.0, description="Seconds that fetching a photo may take."
    )
    max_fetches: PositiveInt = Field(
        default=8, description="Photos that are fetched at once; one more is answered 429."
    )
    default_limit: PositiveInt = Field(
        default=10, description="How many items a search answers if it does not say."
    )
    max_limit: PositiveInt = Field(
        default=1000, description="The most items that one search may ask for."
    )
    max_concurrent: PositiveInt = Field(
        default=64,
        description="Requests with a body that are worked on at once; one more is answered 429. "
        "Bounds memory: at most this many bodies of `max_upload_bytes`.",
    )
    max_batch: PositiveInt = Field(
        default=16, description="Most query images that are embedded in one go."
    )
    threads: PositiveInt = Field(
        default_factory=lambda: os.cpu_count() or 1,
        description="Threads that decode and that search. Without it, the number of cores.",
    )
    decoders: Annotated[int, Field(ge=0)] = Field(
        default_factory=lambda: os.cpu_count() or 1,
        description="Processes that decode uploads, so that none can end or stop the server. "
        "Without it, the number of cores; 0 decodes in the server itself.",
    )
    decode_timeout: PositiveFloat = Field(
        default=10.0,
        description="Seconds that decoding one upload may take; only processes can be stopped.",
    )
    embedder_threads: PositiveInt = Field(
        default=1,
        description="Threads that embed a query. One leaves the other cores to other queries; "
        "more make a single one sooner where the cores are idle.",
    )
    request_timeout: PositiveFloat = Field(
        default=30.0,
        description="Seconds until a request is given up: 408 if its body had not yet arrived, "
        "504 otherwise.",
    )
    drain_seconds: Annotated[float, Field(ge=0)] = Field(
        default=0.0,
        description="Seconds for which a server that was asked to end still takes requests, while "
        "`/readyz` is 503: time for a load balancer to notice.",
    )
    max_pictures: Annotated[int, Field(ge=1, le=1000)] = Field(
        default=64, description="Pictures that one call of a model may draw, or score."
    )
    max_side: Annotated[int, Field(ge=1, le=1024)] = Field(
        default=128, description="Pixels of a side that a model may be asked to draw."
    )
    max_jobs: PositiveInt = Field(
        default=8,
        description="Jobs of models that may wait while another runs; one more is answered 429.",
    )
    job_wait: Annotated[float, Field(ge=0)] = Field(
        default=5.0,
        description="Seconds that a call of a model is waited for if it does not say; what takes "
        "longer is answered with a job.",
    )
    keep_jobs: PositiveInt = Field(
        default=64, description="Jobs that are remembered after their end, with their results."
    )
    refresh_interval: Annotated[float, Field(ge=0)] = Field(
        default=0.2,
        description="Seconds between two looks for a newly published generation. "
        "The look is made by a request, so an idle server does nothing.",
    )
    photo_max_age: Annotated[int, Field(ge=0)] = Field(
        default=3600,
        description="Seconds for which a browser may keep an item's photo without asking again.",
    )

    def engine_choice(self) -> EngineChoice:
        """The engine and where it is."""
        token = "" if self.milvus_token is None else self.milvus_token.get_secret_value()
        return EngineChoice(self.engine, self.milvus_uri, self.milvus_name, token)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments, then the environment, then the file that ``NITERU_CONFIG`` names."""
        del dotenv_settings, file_secret_settings
        file = os.environ.get(CONFIG)
        written = {} if file is None else read_config(Path(file), cls.model_fields)
        return init_settings, env_settings, InitSettingsSource(settings_cls, written)

    @property
    def asks_for_keys(self) -> bool:
        """Whether a call takes a key."""
        return self.api_keys is not None or self.api_keys_file is not None

    @model_validator(mode="after")
    def _open_to_this_machine_only(self) -> Self:
        if not self.asks_for_keys and not is_loopback(self.host):
            raise ValueError(
                f"host is '{self.host}', which other machines may reach, and there is no key: set "
                "NITERU_API_KEYS=search:KEY or NITERU_API_KEYS_FILE, or listen on 127.0.0.1."
            )
        return self

    @model_validator(mode="after")
    def _engine_has_an_address(self) -> Self:
        self.engine_choice()
        return self

    @model_validator(mode="after")
    def _limits_agree(self) -> Self:
        if self.default_limit > self.max_limit:
            raise ValueError(
                f"default_limit is {self.default_limit}, more than max_limit, which is "
                f"{self.max_limit}: lower the one or raise the other."
            )
        return self


def load_settings(shipped: str, /, **options: object) -> Settings:
    """The settings of a server: options that are not None, the environment, the file.

    Args:
        shipped: The weights of a server that nobody told of any.
        options: By the name of their setting.

    Raises:
        ValueError: A setting is missing or wrong; names its variable, what was found and expected.
    """
    given: dict[str, Any] = {name: value for name, value in options.items() if value is not None}
    try:
        settings = Settings(**given)
    except ValidationError as error:
        wrong = []
        for found in error.errors(include_url=False):
            name = ".".join(str(part) for part in found["loc"])
            if found["type"] == "missing":
                wrong.append(f"{name} is missing: give --{name}, or set {PREFIX}{name.upper()}.")
            elif name:
                why = found["msg"].removeprefix("Value error, ").removesuffix(".")
                shown = "not shown, as it is secret" if is_secret(name) else repr(found["input"])
                wrong.append(f"{name} is {shown}: {why}.")
            else:
                wrong.append(found["msg"].removeprefix("Value error, "))
        raise ValueError(" ".join(wrong)) from error
    return settings.model_copy(update={"weights": settings.weights or shipped})


def is_secret(name: str) -> bool:
    """Whether a setting is one whose value no message repeats."""
    field = Settings.model_fields.get(name.partition(".")[0])
    return field is not None and field.annotation == SecretStr | None


def read_config(file: Path, known: Iterable[str]) -> dict[str, Any]:
    """The settings in a TOML file, which has no sections.

    Raises:
        ValueError: It cannot be read, or holds what is no setting; names the nearest that is one.
    """
    try:
        written = tomllib.loads(file.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ValueError(f"{CONFIG} names '{file}', which cannot be read: {error}") from error
    names = list(known)
    for name in written:
        if name not in names:
            raise ValueError(f"'{name}' in '{file}' is not a setting.{hint(name, names)}")
    return written


def is_loopback(host: str) -> bool:
    """Whether an address can be reached from this machine only; of names, just ``localhost``."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def unknown_variables(names: Iterable[str]) -> list[str]:
    """Sentences about environment variables that look like settings but are none.

    Args:
        names: Names of environment variables, as in ``os.environ``.
    """
    known = [PREFIX + name.upper() for name in Settings.model_fields]
    strangers = sorted(
        name
        for name in names
        if name.upper().startswith(PREFIX) and name.upper() not in {*known, *OTHER_VARIABLES}
    )
    return [f"{name} is not a setting and has no effect.{hint(name, known)}" for name in strangers]


def hint(word: str, known: Iterable[str]) -> str:
    """``" Did you mean 'x'?"`` if a known word is near, otherwise nothing."""
    near = difflib.get_close_matches(word, list(known), n=1)
    return f" Did you mean '{near[0]}'?" if near else ""
