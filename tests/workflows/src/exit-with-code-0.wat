;; Exits by `wasi:cli/exit.exit-with-code`, which the standard library of Rust
;; does not call yet, with the status 0. Events: none.
(component
  (import "wasi:cli/exit@0.2.0" (instance $exit
    (export "exit-with-code" (func (param "status-code" u8)))))

  (core func $exit (canon lower (func $exit "exit-with-code")))
  (core module $program
    (import "exit" "exit-with-code" (func $exit (param i32)))
    (func (export "run") (result i32)
      (call $exit (i32.const 0))
      unreachable))
  (core instance $program (instantiate $program
    (with "exit" (instance (export "exit-with-code" (func $exit))))))

  (func $run (result (result)) (canon lift (core func $program "run")))
  (instance $cli (export "run" (func $run)))
  (export "wasi:cli/run@0.2.0" (instance $cli)))
