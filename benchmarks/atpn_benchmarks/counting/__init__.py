"""What an inference costs: parameters, multiply-adds, memory and bytes, by module and in all."""
