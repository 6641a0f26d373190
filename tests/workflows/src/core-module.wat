;; A core module: not a component, so the host cannot run it.
(module
  (func (export "run") (result i32)
    i32.const 0))
