// SPDX-License-Identifier: GPL-2.0

// What do many goroutines compute, whose stacks grow and which go on in other threads?
//
//	goroutines SECONDS
//
// Prints the addresses of descend() and yield(), waits for a line, works, and prints how often each was called, and how
// many results were wrong.
package main

import (
	"bufio"
	"fmt"
	"math/rand"
	"os"
	"reflect"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

const nrGoroutines = 100

var descents, yields, wrong int64

// The frame is large enough to make the stack grow, which moves it.
//
//go:noinline
func descend(n int) int {
	var frame [16]int
	frame[n%16] = n
	if n == 0 {
		return 1
	}
	return descend(n-1) + frame[n%16]
}

// Comes back later, and perhaps in another thread.
//
//go:noinline
func yield(n int) int {
	runtime.Gosched()
	return n + 1
}

func check(got int, wanted int) {
	if got != wanted {
		atomic.AddInt64(&wrong, 1)
	}
}

func work(seed int64, until time.Time, done *sync.WaitGroup) {
	defer done.Done()
	random := rand.New(rand.NewSource(seed))
	for time.Now().Before(until) {
		n := random.Intn(60)
		check(descend(n), n*(n+1)/2+1)
		atomic.AddInt64(&descents, int64(n+1))
		check(yield(n), n+1)
		atomic.AddInt64(&yields, 1)
	}
}

// A new goroutine starts with a small stack: here it has to grow inside of probed calls.
func grow(until time.Time, done *sync.WaitGroup) {
	defer done.Done()
	for time.Now().Before(until) {
		result := make(chan int)
		go func() { result <- descend(500) }()
		check(<-result, 500*501/2+1)
		atomic.AddInt64(&descents, 501)
	}
}

func main() {
	seconds, err := strconv.Atoi(os.Args[1])
	if err != nil {
		panic(err)
	}
	fmt.Printf("%#x %#x\n", reflect.ValueOf(descend).Pointer(), reflect.ValueOf(yield).Pointer())
	bufio.NewReader(os.Stdin).ReadString('\n')

	var done sync.WaitGroup
	until := time.Now().Add(time.Duration(seconds) * time.Second)
	for i := 0; i < nrGoroutines; i++ {
		done.Add(1)
		go work(int64(i), until, &done)
	}
	done.Add(1)
	go grow(until, &done)
	done.Wait()
	fmt.Printf("%d %d %d\n", descents, yields, wrong)
}
