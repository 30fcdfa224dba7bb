"""The public names, each by the file that holds it: read by type checkers and by `__init__.py`."""

from .adaptation import GradientDescent as GradientDescent
from .adaptation import adapt as adapt
from .adaptation import sgd as sgd
from .adapted import Adapted as Adapted
from .api import compare as compare
from .api import load as load
from .api import plot as plot
from .api import report as report
from .api import resume as resume
from .api import run as run
from .api import save as save
from .api import sweep as sweep
from .checkpoints import Checkpoint as Checkpoint
from .checkpoints import ValidationRecord as ValidationRecord
from .comparison import Comparison as Comparison
from .discovery.registry import installed as installed
from .discovery.registry import make as make
from .engine.binding import bind as bind
from .engine.plans import meta_loss as meta_loss
from .engine.training import TrainingRecord as TrainingRecord
from .errors import MamlzooError as MamlzooError
from .errors import PluginError as PluginError
from .errors import UsageError as UsageError
from .experiment import Experiment as Experiment
from .figures.style import Figure as Figure
from .hooks import CONTRACT as CONTRACT
from .hooks import hookimpl as hookimpl
from .interfaces import Batch as Batch
from .interfaces import ClosedForm as ClosedForm
from .interfaces import Episode as Episode
from .interfaces import Learner as Learner
from .interfaces import MetaAlgorithm as MetaAlgorithm
from .interfaces import MetaParams as MetaParams
from .interfaces import Model as Model
from .interfaces import Params as Params
from .interfaces import Plugin as Plugin
from .interfaces import Spec as Spec
from .interfaces import Split as Split
from .interfaces import Task as Task
from .options import option as option
from .points import Points as Points
from .points import read_points as read_points
from .result import Result as Result
from .settings import Settings as Settings
from .sweeps import Sweep as Sweep
from .tested import evaluate as evaluate
from .trees import leaves as leaves
from .trees import named_leaves as named_leaves
from .trees import stop_gradient as stop_gradient
from .trees import tree_map as tree_map
from .verification import verify as verify

__all__: list[str]
__version__: str
