"""Settings of the codec processes: what changes pixels may cost."""

from pydantic import Field

from router.config_values import Duration, ResolvedPath, Settings, Size


class Codecs(Settings):
    """What transcoding and blackening may cost. Codecs run in processes of their own."""

    processes: int = Field(2, ge=1, le=256, description="codec processes of one router process")
    memory: Size = Field(2 * 1024**3, ge=256 * 1024**2, description="address space of each")
    timeout: Duration = Field(60.0, gt=0, description="how long one frame may take")
    verify: bool = Field(True, description="decode what was compressed without loss, and compare")
    folder: ResolvedPath | None = Field(
        None, description="where large results wait; default: the system's temporary folder"
    )
    cache: Size = Field(10**9, description="transcoded copies kept for other destinations, at most")
    keep: Duration = Field(600.0, description="how long such a copy is kept after its last use")
