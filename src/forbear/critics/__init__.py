"""Critics, and how good they are offline. None of it says whether acting on them helps: that takes a pilot."""

from typing import TYPE_CHECKING

from forbear.lazy import lazily

if TYPE_CHECKING:  # the same names for type checkers; a test holds the two lists together
    from forbear.critics.alarms import false_alarm_threshold as false_alarm_threshold
    from forbear.critics.blind import BlindCritic as BlindCritic
    from forbear.critics.calibrated import CalibratedCritic as CalibratedCritic
    from forbear.critics.calibration import StepLines as StepLines
    from forbear.critics.calibration import fit_step_lines as fit_step_lines
    from forbear.critics.calibration import fit_temperature as fit_temperature
    from forbear.critics.calibrators import Calibrator as Calibrator
    from forbear.critics.calibrators import choose_calibrator as choose_calibrator
    from forbear.critics.calibrators import fit_calibrator as fit_calibrator
    from forbear.critics.chat import ChatCritic as ChatCritic
    from forbear.critics.estimates import CriticReport as CriticReport
    from forbear.critics.estimates import Judgements as Judgements
    from forbear.critics.estimates import compare_critics as compare_critics
    from forbear.critics.estimates import evaluate_critic as evaluate_critic
    from forbear.critics.heuristic import AfterStep as AfterStep
    from forbear.critics.heuristic import ErrorWords as ErrorWords
    from forbear.critics.heuristic import EveryK as EveryK
    from forbear.critics.heuristic import FunctionCritic as FunctionCritic
    from forbear.critics.heuristic import RandomCritic as RandomCritic
    from forbear.critics.heuristic import RepeatedAction as RepeatedAction
    from forbear.critics.heuristic import StepCount as StepCount
    from forbear.critics.heuristic import matched_rate as matched_rate
    from forbear.critics.http import HTTPCritic as HTTPCritic
    from forbear.critics.logistic import Features as Features
    from forbear.critics.logistic import LogisticCritic as LogisticCritic
    from forbear.critics.logistic import LogisticWeights as LogisticWeights
    from forbear.critics.logistic import TranscriptFeatures as TranscriptFeatures
    from forbear.critics.logistic import train_logistic as train_logistic
    from forbear.critics.lora.critic import LoraCritic as LoraCritic
    from forbear.critics.measures import at_threshold as at_threshold
    from forbear.critics.measures import auroc as auroc
    from forbear.critics.measures import average_precision as average_precision
    from forbear.critics.measures import brier as brier
    from forbear.critics.measures import calibration_error as calibration_error
    from forbear.critics.measures import log_loss as log_loss
    from forbear.critics.measures import recall_at_precision as recall_at_precision
    from forbear.critics.measures import reliability_curve as reliability_curve
    from forbear.critics.measures import roc_curve as roc_curve
    from forbear.critics.runs import JudgedRun as JudgedRun
    from forbear.critics.tokens import TokenProbability as TokenProbability
    from forbear.critics.trained import AdvantageCritic as AdvantageCritic
    from forbear.critics.trained import TrainedCritic as TrainedCritic
    from forbear.critics.training import train_critic as train_critic

_HOME = {
    "AdvantageCritic": "trained",
    "AfterStep": "heuristic",
    "BlindCritic": "blind",
    "CalibratedCritic": "calibrated",
    "Calibrator": "calibrators",
    "ChatCritic": "chat",
    "CriticReport": "estimates",
    "ErrorWords": "heuristic",
    "EveryK": "heuristic",
    "Features": "logistic",
    "FunctionCritic": "heuristic",
    "HTTPCritic": "http",
    "JudgedRun": "runs",
    "Judgements": "estimates",
    "LogisticCritic": "logistic",
    "LogisticWeights": "logistic",
    "LoraCritic": "lora.critic",
    "RandomCritic": "heuristic",
    "RepeatedAction": "heuristic",
    "StepCount": "heuristic",
    "StepLines": "calibration",
    "TokenProbability": "tokens",
    "TrainedCritic": "trained",
    "TranscriptFeatures": "logistic",
    "at_threshold": "measures",
    "auroc": "measures",
    "average_precision": "measures",
    "brier": "measures",
    "calibration_error": "measures",
    "choose_calibrator": "calibrators",
    "compare_critics": "estimates",
    "evaluate_critic": "estimates",
    "false_alarm_threshold": "alarms",
    "fit_calibrator": "calibrators",
    "fit_step_lines": "calibration",
    "fit_temperature": "calibration",
    "log_loss": "measures",
    "matched_rate": "heuristic",
    "recall_at_precision": "measures",
    "reliability_curve": "measures",
    "roc_curve": "measures",
    "train_critic": "training",
    "train_logistic": "logistic",
}

__all__ = [*_HOME]

__getattr__, __dir__ = lazily(__name__, _HOME)
