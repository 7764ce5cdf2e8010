"""The environment, read once and typed.

Each field is one environment variable of the same name in capitals; `.env.example` explains them
for the person who deploys. Only the composition root (`runtime/services.py`) and the entry points
build a `Settings`; everything else is given what it needs. A plug-in's own settings are read with
`Settings.of`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import (
    AliasChoices,
    BeforeValidator,
    Field,
    PrivateAttr,
    SecretStr,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from photopipe_dagster.core.errors import ConfigurationError
from photopipe_dagster.core.plugins import PluginSettings


def _split(value: object) -> object:
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


def _lower(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]
"""A comma-separated list in the environment."""

ChecksumUse = Annotated[Literal["when_supported", "when_required"], BeforeValidator(_lower)]
"""Whether S3 is sent, or asked for, checksums that it does not insist on."""

S = TypeVar("S", bound=PluginSettings)


class Settings(BaseSettings):
    """The settings of Photopipe itself; `of` has those of a plug-in. See `.env.example`."""

    model_config = SettingsConfigDict(
        env_file=".env", extra="ignore", frozen=True, env_ignore_empty=True
    )

    _given: dict[str, Any] = PrivateAttr(default_factory=dict)
    _sections: dict[type[PluginSettings], PluginSettings] = PrivateAttr(default_factory=dict)

    def __init__(self, **values: Any) -> None:
        super().__init__(**values)
        # What is no field of ours may be one of a plug-in, or say where to read: `of` hands it on.
        self._given = {
            name: value for name, value in values.items() if name not in type(self).model_fields
        }

    def of(self, section: type[S]) -> S:
        """The settings of a plug-in, from where these came from.

        Raises:
            ValidationError: A variable has an impossible value.
        """
        found = self._sections.get(section)
        if found is None:
            found = self._sections[section] = self._read(section)
        assert isinstance(found, section)  # noqa: S101  # it is kept under its own class
        return found

    def _read(self, section: type[S]) -> S:
        """Read a plug-in's settings; the demo's read neither the environment nor `.env`."""
        return section(**self._given)

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """A copy with other values, also of a plug-in's settings."""
        values = dict(update or {})
        ours = {name: value for name, value in values.items() if name in type(self).model_fields}
        copied = super().model_copy(update=ours, deep=deep)
        others = {name: value for name, value in values.items() if name not in ours}
        copied._given = self._given | others
        copied._sections = {}
        return copied

    def __eq__(self, other: object) -> bool:
        # Where they were read, and which sections were read already, makes no difference.
        return (
            isinstance(other, Settings)
            and self.__dict__ == other.__dict__
            and _values(self._given) == _values(other._given)
        )

    # --- where it runs -------------------------------------------------------------------
    photopipe_env: Literal["development", "production"] = Field(
        "development",
        validation_alias=AliasChoices("PHOTOPIPE_ENV", "NODE_ENV"),
        description="Production insists on https, signed webhooks, tokens and full SHA-256.",
    )
    data_dir: Path = Field(Path("data"), description="Everything that the embedded setup keeps.")
    host: str = Field("127.0.0.1", description="Address the API listens on.")
    port: int = Field(4000, ge=1, le=65535, description="Port the API listens on.")
    public_base_url: str = Field(
        "", description="Where outsiders reach the API; signed URLs of local files start with it."
    )
    url_signing_secret: SecretStr | None = Field(
        None, description="Signs URLs of local files; made and kept in DATA_DIR where empty."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="From which level on Photopipe's own lines are logged."
    )
    log_format: Literal["auto", "text", "json"] = Field(
        "auto", description="JSON in production, text in development."
    )
    metrics_enabled: bool = Field(True, description="Whether /metrics is served.")
    api_auth: Literal["auto", "required", "open"] = Field(
        "auto", description="Whether the API asks for tokens; production always does."
    )
    api_rate_limit_per_minute: int = Field(
        1200, ge=0, description="Requests of one token or address; 0: as many as they like."
    )

    # --- database ------------------------------------------------------------------------
    database_url: SecretStr | None = Field(
        None, description="The ledger, an SQLAlchemy URL; DB_PATH as SQLite where empty."
    )
    db_path: Path | None = Field(None, description="SQLite file of the ledger.")

    # --- object store --------------------------------------------------------------------
    s3_bucket: str | None = Field(None, description="Bucket; a local folder where empty.")
    aws_region: str = Field("us-east-1", description="Region of the bucket.")
    aws_endpoint_url_s3: str | None = Field(None, description="Any S3-compatible endpoint.")
    s3_public_endpoint_url: str | None = Field(
        None,
        pattern="^https?://",
        description="Where outsiders reach that endpoint; presigned URLs begin with it.",
    )
    aws_request_checksum_calculation: ChecksumUse | None = Field(
        None, description="`when_required`: for a server that refuses x-amz-checksum headers."
    )
    aws_response_checksum_validation: ChecksumUse | None = Field(
        None, description="`when_required`: do not ask the server for checksums."
    )
    s3_presigned_url_expiry: int = Field(3600, ge=1, le=604800, description="Seconds.")

    # --- AI providers --------------------------------------------------------------------
    ai_provider: str = Field(
        "local", description="The provider of cut-outs and backgrounds; `local` needs no key."
    )
    cutout_provider: str | None = Field(
        None, description="Another provider for cut-outs; AI_PROVIDER where empty."
    )
    background_provider: str | None = Field(
        None, description="Another provider for backgrounds; AI_PROVIDER where empty."
    )
    cutout_route: Names = Field(
        (),
        description="Providers of cut-outs in the order in which they are asked: the next one "
        "where one is down, has no credit, refuses the photo, or its cut-out fails the checks. "
        "Such as photoroom,freepik,local; CUTOUT_PROVIDER alone where empty.",
    )
    background_route: Names = Field(
        (),
        description="The same for backgrounds, unless a theme names a provider; "
        "BACKGROUND_PROVIDER alone where empty.",
    )
    max_cost_per_photo_usd: Decimal | None = Field(
        None,
        ge=0,
        description="What one photo may cost in one theme, USD, whatever is tried; no limit where "
        "empty.",
    )
    cutout_model_path: Path | None = Field(
        None, description="A cut-out model, or a folder of them; else fetched into DATA_DIR/models."
    )
    cutout_model_shape: Literal["auto", "u2net", "isnet", "rmbg", "birefnet"] = Field(
        "auto",
        description="Of which family the file of CUTOUT_MODEL_PATH is: what size it is fed, and "
        "how colours are scaled.",
    )
    worker_processes: int = Field(
        1, ge=1, description="Processes that share a key; each takes its share of its limits."
    )

    # --- sources -------------------------------------------------------------------------
    sources: Names = Field(
        (), description="Where photos come from, by name; all sources installed where empty."
    )

    sku_list_seconds: int = Field(
        3600, ge=60, description="How old the shop's list of SKUs may be for files' names."
    )

    # --- where photos may be downloaded from ----------------------------------------------
    image_url_allowed_hosts: Names = Field(
        (), description="Host or host:port that may be private or plain http."
    )
    image_max_bytes: int = Field(50 * 1024 * 1024, ge=1, description="Larger photos are refused.")
    image_max_pixels: int = Field(64_000_000, ge=1, description="Larger photos are refused.")
    image_min_side: int = Field(64, ge=1, description="Pixels.")

    # --- where pictures are published ----------------------------------------------------
    publish_target: str = Field(
        "", description="Kind of shop, such as shopify; where empty, the one that is configured."
    )
    publish_alt_text: str = Field(
        "{title} {scene}",
        description="What a picture's alt text says, with {title}, {scene}, {sku} and {theme}.",
    )

    # --- jobs ----------------------------------------------------------------------------
    job_max_retries: int = Field(
        3, ge=0, description="Retries of a photo that failed for a passing reason."
    )
    job_retry_delay_seconds: int = Field(
        60, ge=0, description="Before the first retry; doubles each time."
    )
    job_lease_seconds: int = Field(
        120, ge=10, description="A run that has shown no sign of life for so long is dead."
    )
    job_retention_days: int = Field(
        90, ge=1, description="A photo that has rested for so long leaves Dagster, not the ledger."
    )
    intermediates_retention_days: int | None = Field(
        None, ge=1, description="Cut-outs and backgrounds leave the store; never where empty."
    )
    external_lease_seconds: int = Field(
        120,
        validation_alias=AliasChoices("external_lease_seconds", "outside_hold_seconds"),
        ge=0,
        le=86400,
        description="A job of an outside orchestrator waits so long for it.",
    )
    reconcile_after_seconds: int = Field(
        3600, ge=0, description="What is younger is still on its way: not compared."
    )
    reconcile_repair: bool = Field(
        False, description="Whether the daily reconciliation also repairs what it safely can."
    )
    breaker_failures: int = Field(
        5, ge=1, description="In a row that say that a service is down; then photos wait for it."
    )
    breaker_seconds: float = Field(
        60.0, ge=0, description="Before a service that is down is tried again; doubles each time."
    )
    photos_per_run: int = Field(100, ge=1, le=1000, description="At most.")
    runs_at_once: int = Field(
        2, ge=1, le=100, description="Runs that share a backlog: cores or warm workers for them."
    )
    photos_in_flight: int = Field(
        24, ge=1, description="Photos a run works on at once, beside those that wait for a scene."
    )
    paid_calls_in_flight: int = Field(
        4, ge=1, description="Paid calls of a run without an answer: lost if it is killed."
    )
    pictures_in_memory: int = Field(4, ge=1, description="Photos decoded at once.")
    pictures_kept_mb: int = Field(
        64, ge=0, description="Pictures that a run keeps from stage to stage; others it rereads."
    )

    # --- themes --------------------------------------------------------------------------
    default_theme: str = Field(
        "default", description="Theme of a photo that is announced without one."
    )
    supported_themes: Names = Field((), description="Those that are offered; all where empty.")

    # --- alerts --------------------------------------------------------------------------
    alert_slack_webhook_url: SecretStr | None = Field(
        None, description="A Slack incoming webhook that alerts go to."
    )
    alert_webhook_url: SecretStr | None = Field(None, description="Takes JSON.")
    alert_email_to: Names = Field((), description="Addresses.")
    alert_email_from: str | None = Field(None, description="The first recipient where empty.")
    smtp_host: str | None = Field(None, description="Mail server; needed for ALERT_EMAIL_TO.")
    smtp_port: int = Field(587, ge=1, le=65535, description="Port of the mail server.")
    smtp_security: Literal["starttls", "tls", "none"] = Field(
        "starttls", description="How the connection to the mail server is encrypted."
    )
    smtp_username: str | None = Field(None, description="Who signs in there; nobody where empty.")
    smtp_password: SecretStr | None = Field(None, description="The password of SMTP_USERNAME.")
    alert_repeat_minutes: int = Field(240, ge=1, description="How long a topic is silent.")
    alert_digest_minutes: int = Field(60, ge=1, description="Between two digests of failures.")
    alert_summary: Literal["none", "daily"] = Field(
        "daily", description="What happened yesterday, told in the morning (UTC)."
    )
    alert_queue_minutes: int = Field(60, ge=1, description="A photo that waits longer is told of.")
    cost_report_send: Literal["none", "daily", "monthly", "both"] = Field(
        "none", description="Which cost reports are sent as alerts are."
    )

    # --- events --------------------------------------------------------------------------
    event_webhook_urls: SecretStr | None = Field(
        None, description="Addresses that are told what became of jobs; commas between them."
    )
    event_webhook_secrets: SecretStr | None = Field(
        None, description="`whsec_…`, one for each address or one for all; signs what is sent."
    )
    event_webhook_types: Names = Field((), description="Events that are sent; all where empty.")

    # --- quality -------------------------------------------------------------------------
    quality_gates: Literal["enforce", "review", "off"] = Field(
        "enforce", description="What happens to a picture that falls short: fails, or is reviewed."
    )
    risk_review: float | None = Field(
        None,
        ge=0,
        le=1,
        description="A cut-out of a higher risk is reviewed; the theme's limit "
        "where empty, 1 for none.",
    )
    risk_fail: float | None = Field(
        None, ge=0, le=1, description="A cut-out of a higher risk fails; none does where empty."
    )
    second_opinion: Literal["auto", "on", "off"] = Field(
        "auto", description="Whether another witness looks at bought cut-outs and backgrounds."
    )
    flat_lay_skus: Names = Field(
        (),
        validation_alias=AliasChoices("flat_lay_skus", "lying_skus"),
        description="SKUs of products that lie or hang in their photos; `*` is any letters.",
    )
    upright_skus: Names = Field(
        (),
        validation_alias=AliasChoices("upright_skus", "standing_skus"),
        description="SKUs of products that stand, whatever the shop's category says; same form.",
    )

    # --- people --------------------------------------------------------------------------
    dagster_ui_url: str = Field(
        "http://localhost:3000", description="Where people reach Dagster's UI; pages link to it."
    )
    approval_required: Names = Field(
        (), description="Themes whose pictures a person approves first; `*` for all."
    )

    same_photo_once: bool = Field(
        True,
        description="One picture on a product where several of its SKUs have the same photo in the "
        "same theme.",
    )

    # --- money ---------------------------------------------------------------------------
    cost_warning_threshold_usd: Decimal = Field(
        Decimal("100.00"), ge=0, description="USD in a UTC month at which to warn."
    )
    cost_alert_threshold_usd: Decimal = Field(
        Decimal("500.00"), ge=0, description="USD in a UTC month at which to alert."
    )
    cost_limit_daily_usd: Decimal | None = Field(
        None, ge=0, description="Never spend more in a UTC day; no limit where empty."
    )
    cost_limit_monthly_usd: Decimal | None = Field(
        None, ge=0, description="Never spend more in a UTC month; no limit where empty."
    )

    @field_validator("log_level", mode="before")
    @classmethod
    def _lower(cls, value: object) -> object:
        return value.lower() if isinstance(value, str) else value

    @field_validator("publish_alt_text")
    @classmethod
    def _fillable(cls, value: str) -> str:
        try:
            value.format(title="", scene="", sku="", theme="")
        except (KeyError, IndexError, ValueError, AttributeError):
            raise ValueError(
                "may have {title}, {scene}, {sku} and {theme} in it, and no other braces"
            ) from None
        return value

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.production and self.api_auth == "open":
            raise ValueError("API_AUTH=open is for development: in production, use tokens.")
        if self.alert_email_to and not self.smtp_host:
            raise ValueError("SMTP_HOST must be set for ALERT_EMAIL_TO.")
        return self

    @property
    def production(self) -> bool:
        """Whether the strict rules hold: https only, secrets mandatory, full digests."""
        return self.photopipe_env == "production"

    def require_https(self, variable: str, url: str) -> None:
        """See that a service is not sent its key in clear text in production.

        Args:
            variable: The variable that names the service.

        Raises:
            ConfigurationError: It is plain http, and IMAGE_URL_ALLOWED_HOSTS does not list it.
        """
        scheme, _, host = url.partition("://")
        host = host.partition("/")[0].lower()
        trusted = {each.lower() for each in self.image_url_allowed_hosts}
        named = trusted.isdisjoint({host, host.rpartition(":")[0]})
        if self.production and scheme.lower() == "http" and named:
            raise ConfigurationError(
                f"{variable} is plain http, which shows its key to everybody on the way: "
                "production needs https. A host that is to be trusted over plain http goes into "
                "IMAGE_URL_ALLOWED_HOSTS."
            )

    @property
    def logs_as_json(self) -> bool:
        """Whether logs are for machines."""
        return self.log_format == "json" or (self.log_format == "auto" and self.production)

    def is_flat_lay(self, sku: str) -> bool:
        """Whether a person has said that a product lies or hangs in its photos."""
        return _among(sku, self.flat_lay_skus)

    def is_upright(self, sku: str) -> bool:
        """Whether a person has said that a product stands, whatever the shop says that it is."""
        return _among(sku, self.upright_skus) and not self.is_flat_lay(sku)

    @property
    def cutouts(self) -> str:
        """Name of the provider that cuts products out."""
        if self.cutout_route:
            return self.cutout_route[0]
        return self.cutout_provider or self.ai_provider

    @property
    def backgrounds(self) -> str:
        """Name of the provider that makes backgrounds."""
        if self.background_route:
            return self.background_route[0]
        return self.background_provider or self.ai_provider

    @property
    def ledger_url(self) -> str:
        """SQLAlchemy URL of the ledger."""
        if self.database_url:
            return self.database_url.get_secret_value()
        return f"sqlite:///{self.db_path or self.data_dir / 'photopipe.db'}"

    @property
    def base_url(self) -> str:
        """Where the API is reached, without a slash at the end."""
        return (self.public_base_url or f"http://{self.host}:{self.port}").rstrip("/")


def _among(sku: str, names: tuple[str, ...]) -> bool:
    # Of what patterns may have, only `*` is meant: SKUs have the rest in them.
    patterns = (re.sub(r"[?\[]", r"[\g<0>]", each) for each in names)
    return any(fnmatchcase(sku, each) for each in patterns)


def _values(given: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in given.items() if not name.startswith("_")}
