"""What spatial transformers do while they learn: figures, warnings, a penalty, learning rates of their own."""
