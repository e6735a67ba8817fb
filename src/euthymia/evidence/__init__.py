"""The evidence: every number with its source, and the one way to read it.

`model_parameters` are the model's own numbers; `literature`, `plasma`, `outcomes`, `rules`, `linking`
and `adequacy` are what has been published; `search` looks through all of them.
"""

from euthymia.evidence.index import Hit, search
from euthymia.evidence.load import adequacy, linking, literature, model_parameters, outcomes, plasma, priors, rules
from euthymia.evidence.parameters import assume, assumed, fill, parameter, value
from euthymia.evidence.tables import Adequacy, Link, Literature, Outcome, Parameter, Plasma, Prior, Rule

__all__ = [
    "Adequacy",
    "Hit",
    "Link",
    "Literature",
    "Outcome",
    "Parameter",
    "Plasma",
    "Prior",
    "Rule",
    "adequacy",
    "assume",
    "assumed",
    "fill",
    "linking",
    "literature",
    "model_parameters",
    "outcomes",
    "parameter",
    "plasma",
    "priors",
    "rules",
    "search",
    "value",
]
