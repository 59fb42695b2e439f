"""All that it takes to run the contract of a port over an adapter."""

from tiny_vmm import TinyVmm

firkin_vmm = TinyVmm
