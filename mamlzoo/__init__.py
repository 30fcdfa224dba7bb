"""A plugin-based zoo of meta-learning: mix any task, model and meta-algorithm, and trust the numbers.

    result = mamlzoo.run(task="sine", model="mlp", algorithm="maml", seeds=5)
    print(result.table())

Importing this imports nothing else: each name is found when it is first asked for, as `__init__.pyi` says.
"""

import lazy_loader

__version__ = "0.1.0"
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
