"""How every source is doing."""

from changke.kernel.web import EdgeNow, PermissionRouter
from changke.modules.activity import queries
from changke.modules.activity.api.pages import Page
from changke.modules.activity.terms import SourceState

router = PermissionRouter(prefix="/v1", tags=["sources"])


@router.get("/sources", permission="events.read", summary="Watermark, lag and counts of every source 来源状态")
def list_sources(edge: EdgeNow) -> Page[SourceState]:
    """Return every source with its watermark, how far it lags behind now, and what it has sent so far."""
    with edge.database.transaction() as tx:
        return Page(items=queries.sources(tx, at=edge.clock.now()))
