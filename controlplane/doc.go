// Package controlplane keeps projects and deployments: it decides which state
// follows which, starts builders, takes in what they report, and publishes
// routes, project records and the change log to the bucket.
//
// [Service] holds every rule. It stands on five interfaces, which the folders
// beside it and internal/blob implement: [Store] (rows), [LogStore] (lines of
// builds), [Stream] (what brings them there, and to whoever follows), [Runner]
// (what starts builders) and blob.Store (the bucket). Each has an embedded
// implementation and one for several control planes.
//
// A deployment's life, and where it is written:
//
//	deployments.go  asked for, queued; older ones of the branch superseded
//	transition.go   the one function that changes a status
//	dispatcher.go   claimed, a builder started; watch.go: time limits, recovery, drain
//	attempt.go      the builder's tokens and job; events.go: what it reports
//	manifest.go     what it has to publish; uploads.go: what the bucket lacks
//	publish.go      ready, in one transaction; hosts.go: which hosts it takes
//	publisher.go    its routes written, the change log appended: it is live
//	promote.go      production given by a person; resumed
//	domains.go      custom domains; domaincheck.go: what DNS says of them
//	domainstate.go  verified, missing, stopped; domainroute.go: their hosts
//	removal.go      removed; sweeper.go, garbage.go, collect.go: expired, its bytes freed
//
// Several control planes share the rows: leases.go says which of them publishes
// and sweeps, watch.go takes builds over, feed.go and changes.go tell the others
// what has changed. backup.go and restore.go are of the rows, recovery.go brings
// them up to what the bucket says, and adopt.go has that done where the database
// is older than the bucket.
//
// No transaction waits for anything but the database. What reads the bucket to
// decide something holds the project's lock meanwhile, see [Store.LockProject].
// Whatever runs in the background can be killed anywhere, and is done again.
package controlplane
