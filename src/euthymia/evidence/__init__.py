"""The evidence: every number with its source, and the one way to read it.

`model_parameters` are the model's own numbers; `literature`, `plasma`, `outcomes`, `rules` and `linking`
are what has been published; `search` looks through all of them.
"""

from euthymia.evidence.index import Hit, search
from euthymia.evidence.load import linking, literature, model_parameters, outcomes, plasma, rules
from euthymia.evidence.parameters import fill, parameter, value
from euthymia.evidence.tables import Link, Literature, Outcome, Parameter, Plasma, Rule

__all__ = [
    "Hit",
    "Link",
    "Literature",
    "Outcome",
    "Parameter",
    "Plasma",
    "Rule",
    "fill",
    "linking",
    "literature",
    "model_parameters",
    "outcomes",
    "parameter",
    "plasma",
    "rules",
    "search",
    "value",
]
