"""The service's settings: one place, one prefix, every one of them explained.

A setting is an argument of ``Settings(...)``, or the environment variable of the same name in
capitals with the prefix ``NITERU_``; the argument wins. Nothing is read when this module is
imported.
"""

import difflib
import ipaddress
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, PositiveFloat, PositiveInt, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from indexer.runtime import Runtime

PREFIX = "NITERU_"

# Variables with our prefix that are not the service's.
OTHER_VARIABLES = frozenset({"NITERU_DATA"})


class Settings(BaseSettings):
    """Everything that can be set about the service. Unknown arguments are errors."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="forbid", frozen=True)

    store: Path = Field(description="Folder of the store that `niteru index` wrote.")
    weights: str | None = Field(
        default=None,
        description="Weights that embed the queries: a folder, or a name below `weights/`. "
        "Without it, the default of the command line.",
    )
    runtime: Runtime = Field(
        default="auto",
        description="What embeds: `onnx`, `openvino`, `torch`; `auto` is `onnx`, or `torch` "
        "where the weights have no usable export.",
    )
    catalogue: Path | None = Field(
        default=None,
        description="Catalogue that `POST /v1/reindex` indexes: a folder of photos or a manifest. "
        "Without it, that call is answered 501.",
    )
    reindex_workers: PositiveInt = Field(
        default=1,
        description="Threads that read and embed while re-indexing. One leaves the other cores to "
        "searches.",
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
    max_upload_bytes: PositiveInt = Field(
        default=20 * 1024 * 1024,
        description="Largest request body in bytes, a form's own lines included. "
        "Counted as the body arrives.",
    )
    max_pixels: PositiveInt = Field(
        default=50_000_000,
        description="Most pixels of an uploaded image, judged from its header before decoding.",
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
    max_pictures: Annotated[int, Field(ge=1, le=1000)] = Field(
        default=64, description="Pictures that one call of a model may draw, or score."
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

    @model_validator(mode="after")
    def _open_to_this_machine_only(self) -> Self:
        keyed = self.api_keys is not None or self.api_keys_file is not None
        if not keyed and not is_loopback(self.host):
            raise ValueError(
                f"host is '{self.host}', which other machines may reach, and there is no key: set "
                "NITERU_API_KEYS=search:KEY or NITERU_API_KEYS_FILE, or listen on 127.0.0.1."
            )
        return self

    @model_validator(mode="after")
    def _limits_agree(self) -> Self:
        if self.default_limit > self.max_limit:
            raise ValueError(
                f"default_limit is {self.default_limit}, more than max_limit, which is "
                f"{self.max_limit}: lower the one or raise the other."
            )
        return self


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
