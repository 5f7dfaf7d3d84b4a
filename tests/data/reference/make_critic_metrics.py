"""Writes critic_metrics.json beside it; needs `pip install scikit-learn`."""

import json
from pathlib import Path

import numpy as np
import sklearn
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import (
    average_precision_score,
    brier_score_loss,
    f1_score,
    log_loss,
    precision_recall_curve,
    roc_auc_score,
    roc_curve,
)


def case(seed: int, n: int, decimals: int) -> dict[str, object]:
    rng = np.random.default_rng(seed)
    failed = rng.random(n) < 0.4
    p_fail = np.clip((0.35 + 0.25 * failed + 0.25 * rng.standard_normal(n)).round(decimals), 0.1, 0.9)
    precision, recall, _ = precision_recall_curve(failed, p_fail)
    false_alarms, caught, _ = roc_curve(failed, p_fail, drop_intermediate=False)
    logit = np.log(p_fail / (1 - p_fail))
    platt = LogisticRegression(C=np.inf, tol=1e-12, max_iter=10_000).fit(logit[:, None], failed)
    beta = LogisticRegression(C=np.inf, tol=1e-12, max_iter=10_000).fit(
        np.column_stack([np.log(p_fail), -np.log1p(-p_fail)]), failed
    )
    isotonic = IsotonicRegression().fit(p_fail, failed)
    grid = np.linspace(p_fail.min(), p_fail.max(), 7)
    return {
        "failed": failed.tolist(),
        "p_fail": p_fail.tolist(),
        "auroc": roc_auc_score(failed, p_fail),
        "average_precision": average_precision_score(failed, p_fail),
        "brier": brier_score_loss(failed, p_fail),
        "log_loss": log_loss(failed, p_fail),
        "f1_at_half": f1_score(failed, p_fail > 0.5),
        "recall_at_precision": {str(least): recall[precision >= least].max() for least in (0.5, 0.6, 0.8, 1.0)},
        "roc": [list(corner) for corner in zip(false_alarms.tolist(), caught.tolist(), strict=True)],
        "platt": [platt.coef_[0, 0], platt.intercept_[0]],
        "beta": [*beta.coef_[0].tolist(), beta.intercept_[0]],
        "isotonic": {"at": grid.tolist(), "gives": isotonic.predict(grid).tolist()},
    }


if __name__ == "__main__":
    reference = {
        "source": "sklearn.metrics",
        "version": sklearn.__version__,
        "command": "python tests/data/reference/make_critic_metrics.py",
        "cases": [case(1, 40, 4), case(2, 60, 1), case(3, 25, 2)],  # few ties, many ties, small
    }
    Path(__file__).with_name("critic_metrics.json").write_text(json.dumps(reference, indent=1) + "\n", encoding="utf-8")
