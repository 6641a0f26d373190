;; A component that imports an interface no host has.
(component
  (import "durable-tests:nowhere/nothing@1.0.0" (instance $nothing
    (export "call" (func))))

  (core func $call (canon lower (func $nothing "call")))
  (core module $program
    (import "nothing" "call" (func $call))
    (func (export "run") (result i32)
      call $call
      i32.const 0))
  (core instance $program (instantiate $program
    (with "nothing" (instance (export "call" (func $call))))))

  (func $run (result (result)) (canon lift (core func $program "run")))
  (instance $cli (export "run" (func $run)))
  (export "wasi:cli/run@0.2.0" (instance $cli)))
