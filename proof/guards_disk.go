package main

// diskGuards are those of the real process on a real file that fails while it serves.
var diskGuards = []guard{
	{
		name:  "the service ends with its store, and says why",
		holds: "F23 I1",
		file:  "cmd/orders/serve.go",
		old:   `case <-store.Done():`,
		new:   ``,
		test:  "TestDiskThatBecomesReadOnlyEndsTheService",
	},
	{
		name:  "a full disk does not end the service",
		holds: "F1 F23 I4",
		file:  "shared/sqlite/tx.go",
		old:   `if sqlite.ErrCode(err).ToPrimary() == sqlite.ResultIOErr {`,
		new:   `if sqlite.ErrCode(err).ToPrimary() != sqlite.ResultOK {`,
		pkg:   "cmd/orders",
		test:  "TestFullDiskUnderLoadIsSurvived",
	},
	{
		name:  "a full disk at the start is called that",
		holds: "F23",
		file:  "shared/sqlite/open.go",
		old:   `, code == sqlite.ResultIOErrSHMSize:`,
		new:   `:`,
		pkg:   "cmd/orders",
		test:  "TestFullDiskAtTheStartIsSaid",
	},
	{
		name:  "a read that fails is a 503, not an order that is not there",
		holds: "F23 I1 I15",
		file:  "shared/sqlite/read.go",
		old:   "err = do(conn)\n\tif isSQLite(err) {",
		new:   "err = do(conn)\n\tif false {",
		test:  "TestAReadThatFailsIsUnavailable",
	},
	{
		name:  "somebody who looks into the file for a moment costs no order",
		holds: "F23 I4",
		file:  "shared/sqlite/open.go",
		old:   `busyTimeout = 2 * time.Second`,
		new:   `busyTimeout = 0 * time.Second`,
		pkg:   "cmd/orders",
		test:  "TestFileThatIsLockedForAMomentCostsNoOrder",
	},
	{
		name:  "a file that stays locked is answered for in bounded time",
		holds: "F1 F23 I16",
		file:  "shared/sqlite/open.go",
		old:   `busyTimeout = 2 * time.Second`,
		new:   `busyTimeout = 2 * time.Hour`,
		pkg:   "cmd/orders",
		test:  "TestFileThatIsLockedForAWhileIsServedOn",
	},
}
