"""Asset *scene*: pictures that whole collections stand in, one partition a scene.

They are made elsewhere, by people and providers; the sensor *scenes* tells Dagster which revision
counts.
"""

import dagster as dg

from photopipe_dagster.core.dagster_names import SCENE_PARTITIONS
from photopipe_dagster.ledger.scenes import SceneRevision

scenes = dg.DynamicPartitionsDefinition(name=SCENE_PARTITIONS)
"""One partition a scene, by its name."""

SCENE = dg.AssetSpec(
    "scene",
    group_name="scene",
    kinds={"jpeg"},
    owners=["team:photopipe"],
    description="An approved picture that all products of a theme stand in. Each approval of a "
    "revision is a materialization.",
    partitions_def=scenes,
)


def materialization(scene: SceneRevision, base_url: str) -> dg.AssetMaterialization:
    """What Dagster shows of an approved revision."""
    view, light, picture = scene.view, scene.view.light, scene.picture
    return dg.AssetMaterialization(
        asset_key=SCENE.key,
        partition=scene.name,
        metadata={
            "page": dg.MetadataValue.url(f"{base_url}/scenes/{scene.name}"),
            "revision": scene.revision,
            "digest": picture.digest,
            "key": scene.object_key,
            "width": view.width,
            "height": view.height,
            "ground": view.ground,
            "azimuth_degrees": light.azimuth_degrees,
            "elevation_degrees": light.elevation_degrees,
            "softness": light.softness,
            "provider": picture.provider,
            "cost_usd": float(picture.cost),
            "approved_by": scene.decided_by or "",
        },
    )
