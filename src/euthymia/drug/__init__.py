"""From a dose to plasma concentration to NMDA occupancy: compounds, routes, dispositions, interactions, the receptor."""
