"""From a dose to plasma levels to NMDA occupancy: compounds, routes, dispositions, interactions, the receptor."""
