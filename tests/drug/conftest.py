"""Plasma levels of single doses, by summing the modes of a disposition."""

import jax
import numpy as np
import pytest

from euthymia.drug.compounds import ng_per_mL

jax.config.update("jax_enable_x64", True)


def levels(system, inputs, mg, time_h, infusion_h=0.0):
    """ng/mL by analyte, [times, patients], after `mg` of one enantiomer given at time 0."""
    modes = 0.0
    rates = np.asarray(system.rates)[:, None]
    t = np.asarray(time_h, float)[None, :, None]
    for one in inputs:
        gain = np.asarray(system.inputs)[:, system.channels.index(one.channel)] * np.asarray(one.fraction) * mg
        hours = infusion_h or one.duration_h
        if hours == 0:
            modes = modes + gain[:, None] * np.exp(-rates * t)
        else:
            since_end = np.maximum(t - hours, 0)
            modes = modes + (gain[:, None] / hours / rates) * (np.exp(-rates * since_end) - np.exp(-rates * t))
    outputs = np.asarray(system.outputs)
    return {a: np.asarray(ng_per_mL((outputs[k][:, None] * modes).sum(0), a)) for k, a in enumerate(system.analytes)}


def exposure(system, inputs, mg):
    """AUC to infinity, ng h/mL by analyte, [patients]."""
    total = 0.0
    for one in inputs:
        total = total + np.asarray(system.inputs)[:, system.channels.index(one.channel)] * np.asarray(one.fraction) * mg
    outputs = np.asarray(system.outputs)
    return {
        a: np.asarray(ng_per_mL((outputs[k] * total / np.asarray(system.rates)).sum(0), a))
        for k, a in enumerate(system.analytes)
    }


@pytest.fixture
def level():
    return levels


@pytest.fixture
def auc():
    return exposure
