"""From NMDA occupancy to synapses: disinhibition and surge, the over-block brake, BDNF and mTORC1, plasticity."""
