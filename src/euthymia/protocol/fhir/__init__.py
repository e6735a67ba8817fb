"""A protocol as a FHIR R4 PlanDefinition, and back, without loss; docs/fhir.md says which element holds what.

`to_plan_definition` writes one, `from_plan_definition` reads one that Euthymia wrote, `reads` the same from
JSON text, `read_file` from a file.
"""

from euthymia.protocol.fhir.plan import from_plan_definition, read_file, reads, to_plan_definition

__all__ = ["from_plan_definition", "read_file", "reads", "to_plan_definition"]
