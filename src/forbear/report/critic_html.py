"""An evaluation of a critic as one HTML page without scripts and without anything loaded from elsewhere."""

from forbear.report.critic_text import MEANINGS
from forbear.report.critic_view import CriticView
from forbear.report.engine import asset
from forbear.report.html import page


def critic_html(view: CriticView) -> str:
    """Renders an evaluation."""
    return page("critic.html").render(view=view, meanings=MEANINGS, style=asset("page.css"))
