"""Writes critic_metrics.json beside it; needs `pip install scikit-learn`."""

import json
from pathlib import Path

import numpy as np
import sklearn
from sklearn.metrics import average_precision_score, brier_score_loss, f1_score, log_loss, roc_auc_score


def case(seed: int, n: int, decimals: int) -> dict[str, object]:
    rng = np.random.default_rng(seed)
    failed = rng.random(n) < 0.4
    p_fail = np.clip((0.35 + 0.25 * failed + 0.25 * rng.standard_normal(n)).round(decimals), 0.1, 0.9)
    return {
        "failed": failed.tolist(),
        "p_fail": p_fail.tolist(),
        "auroc": roc_auc_score(failed, p_fail),
        "average_precision": average_precision_score(failed, p_fail),
        "brier": brier_score_loss(failed, p_fail),
        "log_loss": log_loss(failed, p_fail),
        "f1_at_half": f1_score(failed, p_fail > 0.5),
    }


if __name__ == "__main__":
    reference = {
        "source": "sklearn.metrics",
        "version": sklearn.__version__,
        "command": "python tests/data/reference/make_critic_metrics.py",
        "cases": [case(1, 40, 4), case(2, 60, 1), case(3, 25, 2)],  # few ties, many ties, small
    }
    Path(__file__).with_name("critic_metrics.json").write_text(json.dumps(reference, indent=1) + "\n", encoding="utf-8")
