"""Everything that a sandbox knows: in memory, inspectable, settable."""

from __future__ import annotations

from photopipe_dagster.sandbox.broken import Connections
from photopipe_dagster.sandbox.clock import Clock
from photopipe_dagster.sandbox.config import SandboxConfig
from photopipe_dagster.sandbox.faults import Faults
from photopipe_dagster.sandbox.freepik.records import FreepikRecords
from photopipe_dagster.sandbox.providers.base import ProviderStandIn, stand_ins
from photopipe_dagster.sandbox.shopify.store import ShopifyStore
from photopipe_dagster.sandbox.threejms import Shelf
from photopipe_dagster.sandbox.traffic import Traffic


class SandboxState:
    """The state behind the three simulators.

    Attributes:
        config: What the sandbox was told at its start.
        clock: Settable time.
        faults: What is planned to go wrong.
        traffic: Latencies and counts of requests.
        connections: The server's open connections.
        threejms: The shelf of photos.
        freepik: Charges, cut-outs, tasks and uploads.
        stand_ins: Of providers, beside Freepik.
        providers: Those that charge, by name.
        shopify: Products, files, tokens and the leaky bucket.
    """

    def __init__(self, config: SandboxConfig) -> None:
        self.config = config
        self.clock = Clock()
        self.faults = Faults(config.seed)
        self.connections = Connections()
        self.traffic = Traffic(self.faults, self.connections)
        self.traffic.set_latencies(config.latencies)
        self.threejms = Shelf(self.clock)
        self.freepik = FreepikRecords(config, self.clock, self.traffic)
        self.stand_ins = [each(config, self.clock, self.traffic) for each in stand_ins()]
        self.providers: dict[str, FreepikRecords | ProviderStandIn] = {
            "freepik": self.freepik,
            **{each.provider: each for each in self.stand_ins},
        }
        self.shopify = ShopifyStore(config, self.clock, self.traffic)

    def reset(self) -> None:
        """Go back to the start: empty shelves, real time, no faults, the latencies of the start."""
        self.clock.reset()
        self.faults.clear()
        self.traffic.reset()
        self.traffic.set_latencies(self.config.latencies, replace=True)
        self.threejms.reset()
        for provider in self.providers.values():
            provider.reset()
        self.shopify.reset()
