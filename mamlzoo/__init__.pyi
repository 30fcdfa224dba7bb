"""The public names, each by the file that holds it: read by type checkers and by `__init__.py`."""

from .api import compare as compare
from .api import load as load
from .api import plot as plot
from .api import report as report
from .api import resume as resume
from .api import run as run
from .api import save as save
from .api import sweep as sweep
from .comparisons.comparison import Comparison as Comparison
from .contracts.data import Batch as Batch
from .contracts.data import Episode as Episode
from .contracts.data import MetaParams as MetaParams
from .contracts.data import Params as Params
from .contracts.data import Spec as Spec
from .contracts.data import Split as Split
from .contracts.hooks import CONTRACT as CONTRACT
from .contracts.hooks import hookimpl as hookimpl
from .contracts.inner_loop import GradientDescent as GradientDescent
from .contracts.inner_loop import adapt as adapt
from .contracts.inner_loop import sgd as sgd
from .contracts.learner import Learner as Learner
from .contracts.options import option as option
from .contracts.plugins import ClosedForm as ClosedForm
from .contracts.plugins import MetaAlgorithm as MetaAlgorithm
from .contracts.plugins import Model as Model
from .contracts.plugins import Plugin as Plugin
from .contracts.plugins import Task as Task
from .contracts.points import Points as Points
from .contracts.points import read_points as read_points
from .discovery.registry import installed as installed
from .discovery.registry import make as make
from .engine.own_loop import bind as bind
from .engine.own_loop import meta_loss as meta_loss
from .engine.training import TrainingRecord as TrainingRecord
from .errors import MamlzooError as MamlzooError
from .errors import PluginError as PluginError
from .errors import UsageError as UsageError
from .experiments.checkpoint import Checkpoint as Checkpoint
from .experiments.checkpoint import ValidationRecord as ValidationRecord
from .experiments.experiment import Experiment as Experiment
from .experiments.result import Result as Result
from .experiments.settings import Settings as Settings
from .figures.style import Figure as Figure
from .inference.adapted import Adapted as Adapted
from .inference.tested import evaluate as evaluate
from .sweeps.sweep import Sweep as Sweep
from .trees import leaves as leaves
from .trees import named_leaves as named_leaves
from .trees import stop_gradient as stop_gradient
from .trees import tree_map as tree_map
from .verification.central_differences import verify as verify

__all__: list[str]
__version__: str
