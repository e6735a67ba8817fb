"""From plasticity to symptoms and rating scales, and the response that is not the drug's."""
