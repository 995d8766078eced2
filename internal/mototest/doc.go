// Package mototest runs moto, which speaks AWS's wire protocol, for tests of
// what calls ECS. Moto starts no containers: a test reads what a task was given
// from the wire, and is the task. A [Proxy] in front of it answers as AWS does
// where moto can't: it throttles, has no capacity, loses answers, and ends tasks
// for the reasons of real machines.
package mototest
