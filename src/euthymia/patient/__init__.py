"""Virtual patients: covariates, between-patient variability, populations."""

from euthymia.patient.population import POPULATIONS, Patients, draw

__all__ = ["POPULATIONS", "Patients", "draw"]
