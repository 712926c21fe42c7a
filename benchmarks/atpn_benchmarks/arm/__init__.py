"""ARM without a board: the real ARM kernels under QEMU, counted instruction by instruction."""
